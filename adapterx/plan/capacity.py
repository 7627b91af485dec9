"""From a budget to a size: the largest adapter whose parameters are at most a share of the backbone's."""

from __future__ import annotations

from adapterx.backbones.info import BackboneInfo
from adapterx.methods.spec import Bottleneck, Lora, Method
from adapterx.plan.cost import adapter_parameters, encoder_parameters


def sized(method: Method, info: BackboneInfo) -> Method:
    """The method with a rank or width where it has a budget. Of a budget nothing is left: equal sizes, equal methods.

    Raises ValueError where not even the smallest adapter is within the budget, or the rank exceeds the width.
    """
    if not isinstance(method, Lora | Bottleneck) or method.budget is None:
        return method
    allowed = method.budget * encoder_parameters(info)
    # Parameters are linear in the size, but for the biases of a bottleneck's output.
    one, two = (adapter_parameters(_of_size(method, size), info) for size in (1, 2))
    size = int((allowed - one) // (two - one)) + 1
    if size < 1:
        raise ValueError(
            f"has a budget of {100 * method.budget:g}%, {int(allowed):,} parameters of this backbone, but the smallest"
            f" adapter has {one:,}"
        )
    if isinstance(method, Lora) and size > info.hidden:
        raise ValueError(
            f"has a budget of {100 * method.budget:g}%, which is rank {size:,}, more than the {info.hidden:,} features"
            " of this backbone: no update of low rank"
        )
    return _of_size(method, size)


def _of_size(method: Lora | Bottleneck, size: int) -> Method:
    given = {name: getattr(method, name) for name in method.model_fields_set if name != "budget"}
    if isinstance(method, Lora):
        return Lora.model_validate({"alpha": 2.0 * size, **given, "rank": size})
    given.pop("reduction_factor", None)
    return Bottleneck.model_validate({**given, "width": size})
