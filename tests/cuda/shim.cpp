// A CUDA backend without a device: enough of one for autograd to differentiate fake CUDA tensors.
//
// Hooks tell torch that there is one GPU. A device guard gives streams by number, hands out events that remember the
// stream they were recorded on, and notes which stream waited for which: a recording (CUDA graph) that another stream
// waits for, or that waits for another stream, is refused by CUDA. Memory, kernels and results are not in here.
//
// To be loaded before anything asks torch whether there is CUDA (shim.py).

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using c10::Stream;
using c10::StreamId;

constexpr StreamId kFresh = 1000;  // of a pool of torch's own, which nothing here asks for

thread_local StreamId current_stream = 0;
std::mutex waits_lock;
std::vector<std::pair<StreamId, StreamId>> waits;  // (who waits, for whom)

Device the_device() {
  return Device(DeviceType::CUDA, 0);
}

Stream stream_of(StreamId id) {
  return Stream(Stream::UNSAFE, the_device(), id);
}

struct NoDeviceGuard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return DeviceType::CUDA; }

  Device exchangeDevice(Device) const override { return the_device(); }
  Device getDevice() const override { return the_device(); }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void synchronizeDevice(const DeviceIndex) const override {}

  Stream getStream(Device) const override { return stream_of(current_stream); }
  Stream getDefaultStream(Device) const override { return stream_of(0); }
  Stream getNewStream(Device, int) const override { return stream_of(kFresh); }
  Stream getStreamFromGlobalPool(Device, bool) const override { return stream_of(kFresh + 1); }
  Stream exchangeStream(Stream stream) const override {
    const StreamId before = current_stream;
    current_stream = stream.id();
    return stream_of(before);
  }
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
  void recordDataPtrOnStream(const c10::DataPtr&, const Stream&) const override {}

  // An event is the number of its stream plus one, in place of a pointer.
  void record(void** event, const Stream& stream, const DeviceIndex, const c10::EventFlag) const override {
    *event = reinterpret_cast<void*>(static_cast<std::intptr_t>(stream.id()) + 1);
  }
  void block(void* event, const Stream& stream) const override {
    const auto other = static_cast<StreamId>(reinterpret_cast<std::intptr_t>(event) - 1);
    if (other == stream.id()) {
      return;
    }
    const std::lock_guard<std::mutex> guard(waits_lock);
    waits.emplace_back(stream.id(), other);
  }
  bool queryEvent(void*) const override { return true; }
  void synchronizeEvent(void*) const override {}
  void destroyEvent(void*, const DeviceIndex) const noexcept override {}
};

NoDeviceGuard the_guard;

}  // namespace

extern "C" {

// A build of torch for CUDA registers a guard of its own when it is imported: ours takes its place afterwards.
void shim_install() {
  c10::impl::DeviceGuardImplRegistrar registrar(DeviceType::CUDA, &the_guard);
}

void shim_set_stream(std::int64_t id) {
  current_stream = id;
}

std::int64_t shim_stream() {
  return current_stream;
}

// Writes up to `most` pairs of (who waited, for whom) since the last call, and forgets them; how many there were.
std::int64_t shim_waits(std::int64_t* into, std::int64_t most) {
  const std::lock_guard<std::mutex> guard(waits_lock);
  const auto count = static_cast<std::int64_t>(waits.size());
  for (std::int64_t at = 0; at < count && at < most; ++at) {
    into[2 * at] = waits[at].first;
    into[2 * at + 1] = waits[at].second;
  }
  waits.clear();
  return count;
}

}  // extern "C"

namespace at {

struct NoDeviceHooks final : CUDAHooksInterface {
  explicit NoDeviceHooks(CUDAHooksArgs) {}

  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex exchangeDevice(DeviceIndex) const override { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const override { return 0; }
  void setCurrentDevice(DeviceIndex) const override {}
};

C10_REGISTER_TYPED_CLASS_WITH_PRIORITY(CUDAHooksRegistry, "CUDAHooks", c10::REGISTRY_PREFERRED, NoDeviceHooks)

}  // namespace at
