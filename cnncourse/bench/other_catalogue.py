"""Benchmarks of starting, saving and predicting."""

from cnncourse.bench.benchmark import Benchmark, Contestant, Workload

_PEERS = "cnncourse.bench.peers."


def _start(name: str, *arguments: str, packages: tuple[str, ...] = (), text: str | None = None) -> Contestant:
    return Contestant(
        name=name,
        description=text or f"python {' '.join(arguments)}",
        function=_PEERS + "start_up:start",
        options={"arguments": list(arguments)},
        packages=packages,
    )


def _import(name: str, *modules: str, packages: tuple[str, ...] = ()) -> Contestant:
    return _start(name, "-c", f"import {', '.join(modules)}", packages=packages, text=", ".join(modules))


IMPORT = Benchmark(
    name="import",
    description="a fresh interpreter, from its start to its end",
    unit="s",
    higher_is_better=False,
    reference="torch",
    workloads=(
        Workload(
            name="import",
            description="the named modules imported, nothing done; MiB is the largest memory",
            settings={"warmup_steps": 2, "warmup_seconds": 0.0, "seconds": 6.0},
        ),
    ),
    contestants=(
        _import("torch", "torch"),
        _start("python", "-c", "pass", text="nothing"),
        _import("cnncourse", "cnncourse"),
        _start("--help", "-m", "cnncourse", "--help", text="the command line's help"),
        _import("training", "cnncourse.training"),
        _import(
            "a-chapter",
            "cnncourse.datasets",
            "cnncourse.models",
            "cnncourse.augmentation",
            "cnncourse.training",
            "cnncourse.notebook",
        ),
        _import("torchvision", "torch", "torchvision"),
        _import("course-usual", "torch", "torchvision", "matplotlib.pyplot"),
        _import("accelerate", "accelerate", packages=("accelerate",)),
        _import("ignite", "ignite.engine", packages=("ignite",)),
        _import("timm", "timm", packages=("timm",)),
        _import("lightning", "lightning", packages=("lightning",)),
        _import("fastai", "fastai.vision.all", packages=("fastai",)),
    ),
)

CHECKPOINT = Benchmark(
    name="checkpoint",
    description="ResNet-50 with the momentum of its optimiser, 195 MiB, to and from a file",
    unit="s",
    higher_is_better=False,
    reference="torch",
    workloads=(
        Workload(
            name="save",
            description="written to the file",
            settings={"action": "save", "warmup_steps": 2, "warmup_seconds": 0.0},
        ),
        Workload(
            name="load",
            description="read from the file and copied into the tensors of a run",
            settings={"action": "load", "warmup_steps": 2, "warmup_seconds": 0.0},
        ),
    ),
    contestants=(
        Contestant(
            name="torch",
            description="torch.save; torch.load(weights_only=True)",
            function=_PEERS + "checkpoints:with_torch",
        ),
        Contestant(
            name="torch-sync",
            description="torch.save and os.fsync: on the disk when it returns",
            function=_PEERS + "checkpoints:with_torch",
            options={"sync": True},
            workloads=("save",),
        ),
        Contestant(
            name="safetensors",
            description="save_file and load_file, tensors only",
            function=_PEERS + "checkpoints:with_safetensors",
            packages=("safetensors",),
        ),
        Contestant(
            name="ours",
            description="write_checkpoint: checksummed, on the disk when it returns, atomic; read_checkpoint",
            function=_PEERS + "checkpoints:with_ours",
        ),
    ),
)

PREDICT = Benchmark(
    name="predict",
    description="prediction on finished batches",
    unit="images/s",
    higher_is_better=True,
    reference="usual",
    flops_a_multiply_add=2,
    workloads=(
        Workload(
            name="resnet18",
            description="ResNet-18 with the stem for small images, 32 x 32, batch 256",
            settings={"model": "resnet18", "batch_size": 256, "side": 32, "warmup_steps": 3},
        ),
        Workload(
            name="resnet50",
            description="torchvision's ResNet-50, 224 x 224, batch 16",
            settings={"model": "resnet50", "batch_size": 16, "side": 224, "warmup_steps": 3},
        ),
    ),
    contestants=(
        Contestant(
            name="usual", description="eval() and no_grad(), NCHW, fp32", function=_PEERS + "predicting:usual"
        ),
        Contestant(name="nhwc", description="channels-last", function=_PEERS + "predicting:channels_last"),
        Contestant(
            name="nhwc-bf16",
            description="channels-last and bf16 autocast",
            function=_PEERS + "predicting:channels_last",
            options={"bf16": True},
        ),
        Contestant(
            name="nhwc-compile",
            description="channels-last, torch.compile with frozen weights",
            function=_PEERS + "predicting:channels_last",
            options={"compiled": True},
        ),
        Contestant(
            name="timm",
            description="timm's ResNet-50 with the same weights, channels-last",
            function=_PEERS + "predicting:with_timm",
            packages=("timm",),
            workloads=("resnet50",),
        ),
        Contestant(
            name="ours",
            description="predict with its defaults",
            function=_PEERS + "predicting:ours",
        ),
        Contestant(
            name="ours-memory",
            description="the same after keep_freed_memory()",
            function=_PEERS + "predicting:ours",
            options={"memory": True},
        ),
        Contestant(
            name="ours-compile",
            description="the same with compile=True",
            function=_PEERS + "predicting:ours",
            options={"memory": True, "compiled": True},
        ),
    ),
)
