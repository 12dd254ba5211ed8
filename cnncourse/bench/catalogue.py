"""All benchmarks, by name."""

from cnncourse.bench.benchmark import Benchmark
from cnncourse.bench.input_catalogue import AUGMENT, LOADER
from cnncourse.bench.network_catalogue import CONV, MODELS
from cnncourse.bench.other_catalogue import CHECKPOINT, IMPORT, PREDICT
from cnncourse.bench.training_catalogue import OVERHEAD, TRAIN

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (TRAIN, AUGMENT, LOADER, IMPORT, CHECKPOINT, OVERHEAD, PREDICT, CONV, MODELS)
}
