// What tch does not reach of libtorch, as plain functions. One that can fail returns nullptr, or what went wrong as a string of strdup's.

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <atomic>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

namespace {

template <typename Function> char *attempt(Function function) {
  try {
    function();
    return nullptr;
  } catch (const c10::Error &error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    return strdup(error.what());
  }
}

std::vector<at::Tensor> list(at::Tensor *const *tensors, size_t count) {
  std::vector<at::Tensor> all;
  all.reserve(count);
  for (size_t index = 0; index < count; ++index) all.push_back(*tensors[index]);
  return all;
}

std::atomic<int64_t> transfers{0};

// Counts what would make the host wait for a device: a value read by the host; a tensor of values that the host has (tch fills one of
// zeros); results whose size depends on values.
std::unique_ptr<at::ObserverContext> count(const at::RecordFunction &function) {
  for (const std::string_view name : {"aten::_local_scalar_dense", "aten::zeros", "aten::nonzero", "aten::masked_select", "aten::_unique2"})
    if (name == function.name()) transfers.fetch_add(1);
  return nullptr;
}

} // namespace

extern "C" {

// As in mod.rs.
struct SgdStep {
  double learning_rate, momentum, weight_decay;
};
struct Arithmetic {
  bool tf32_convolutions, tf32_products, benchmark;
};

// One step of stochastic gradient descent for all tensors at once, in place; without momentum there are no velocities.
char *shim_fused_sgd(at::Tensor *const *parameters, at::Tensor *const *gradients, at::Tensor *const *velocities, size_t count,
                     const SgdStep *step) {
  return attempt([&] {
    at::_fused_sgd_(list(parameters, count), list(gradients, count), step->momentum == 0.0 ? std::vector<at::Tensor>{} : list(velocities, count),
                    step->weight_decay, step->momentum, step->learning_rate, /*dampening=*/0.0, /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
  });
}

// means += weight * (values - means), for all tensors at once.
char *shim_lerp(at::Tensor *const *means, at::Tensor *const *values, size_t count, double weight) {
  return attempt([&] { at::_foreach_lerp_(list(means, count), list(values, count), at::Scalar(weight)); });
}

char *shim_set_deterministic() {
  return attempt([&] {
    at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
    at::globalContext().setDeterministicCuDNN(true);
    // Else each new tensor is first filled with NaN.
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  });
}

char *shim_set_arithmetic(const Arithmetic *arithmetic) {
  return attempt([&] {
    at::globalContext().setAllowTF32CuDNN(arithmetic->tf32_convolutions);
    at::globalContext().setAllowTF32CuBLAS(arithmetic->tf32_products);
    at::globalContext().setBenchmarkCuDNN(arithmetic->benchmark);
  });
}

// How it is set; whether only deterministic operations are used.
bool shim_arithmetic(Arithmetic *arithmetic) {
  arithmetic->tf32_convolutions = at::globalContext().allowTF32CuDNN(at::Float32Op::CONV);
  arithmetic->tf32_products = at::globalContext().allowTF32CuBLAS();
  arithmetic->benchmark = at::globalContext().benchmarkCuDNN();
  return at::globalContext().deterministicAlgorithms();
}

void *shim_no_tf32() { return new at::NoTF32Guard(); }
void shim_end_no_tf32(void *guard) { delete static_cast<at::NoTF32Guard *>(guard); }
bool shim_is_without_tf32() { return at::NoTF32Guard::should_disable_tf32(); }

// The build settings of the libtorch that is loaded.
char *shim_config() { return strdup(at::show_config().c_str()); }

// 91900 for 9.19.0, or 0 where there is none.
int64_t shim_cudnn_version() {
  try {
    return at::Context::versionCuDNN();
  } catch (const std::exception &) {
    return 0;
  }
}

// libtorch's profiler, of kernels and copies on the GPU or of the CPU's operations.
char *shim_start_profile(bool on_gpu) {
  return attempt([&] {
    using torch::profiler::impl::ActivityType;
    const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
    const std::set<ActivityType> activities{on_gpu ? ActivityType::CUDA : ActivityType::CPU};
    torch::autograd::profiler::prepareProfiler(config, activities);
    torch::autograd::profiler::enableProfiler(config, activities, {at::RecordScope::FUNCTION});
  });
}

// A line for each name: how often it ran, its nanoseconds in all, the name.
char *shim_end_profile(bool on_gpu, char **lines) {
  return attempt([&] {
    std::map<std::string, std::pair<uint64_t, uint64_t>> found;
    const auto result = torch::autograd::profiler::disableProfiler();
    for (const auto &event : result->events()) {
      if ((event.deviceType() == c10::DeviceType::CUDA) != on_gpu) continue;
      auto &[count, nanoseconds] = found[event.name()];
      count += 1;
      nanoseconds += event.durationNs();
    }
    std::string text;
    for (const auto &[name, sums] : found)
      text += std::to_string(sums.first) + '\t' + std::to_string(sums.second) + '\t' + name + '\n';
    *lines = strdup(text.c_str());
  });
}

uint64_t shim_count_transfers() {
  transfers = 0;
  return at::addThreadLocalCallback(at::RecordFunctionCallback(count).scopes({at::RecordScope::FUNCTION}));
}

int64_t shim_end_count(uint64_t handle) {
  at::removeCallback(handle);
  return transfers;
}
}
