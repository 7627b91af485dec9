"""The reference lane: one training at a time on the plain models of Hugging Face, `peft` and `adapters`."""

from adapterx.reference.predict import embed, evaluate, predict
from adapterx.reference.train import train

__all__ = ["embed", "evaluate", "predict", "train"]
