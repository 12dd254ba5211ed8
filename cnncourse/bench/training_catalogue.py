"""Benchmarks of training: throughput, and the cost of a step besides the network."""

from cnncourse.bench.benchmark import Benchmark, Contestant, Workload

_PEERS = "cnncourse.bench.peers."
_CROP_FLIP = {"batch_size": 128, "padding": 4, "flip": True}

TRAIN = Benchmark(
    name="train",
    description="training throughput on 50,000 synthetic images of 32 x 32, batch 128",
    unit="images/s",
    higher_is_better=True,
    reference="plain",
    flops_a_multiply_add=6,
    workloads=(
        Workload(
            name="resnet20",
            description="ResNet-20, pad-4 crop and flip",
            settings={**_CROP_FLIP, "model": "resnet20"},
        ),
        Workload(
            name="resnet18",
            description="ResNet-18 with the stem for small images, pad-4 crop and flip",
            settings={**_CROP_FLIP, "model": "resnet18", "warmup_steps": 4, "seconds": 15.0},
        ),
        Workload(
            name="lenet",
            description="LeNet-5 on three channels, pad-2 crop",
            settings={"batch_size": 128, "padding": 2, "flip": False, "model": "lenet", "warmup_steps": 100},
        ),
    ),
    contestants=(
        Contestant(
            name="plain",
            description="course loop: DataLoader without workers, PIL transforms image by image, .item() each step",
            function=_PEERS + "plain:train",
        ),
        Contestant(
            name="plain-workers",
            description="the same with two workers",
            function=_PEERS + "plain:train",
            options={"workers": 2},
        ),
        Contestant(
            name="hand-written",
            description="resident images, augmentation in batches, NCHW, fp32",
            function=_PEERS + "hand_written:train",
        ),
        Contestant(
            name="hand-tuned",
            description="the same with NHWC, bf16 autocast and fused SGD",
            function=_PEERS + "hand_written:train",
            options={"tuned": True},
        ),
        Contestant(
            name="ours", description="Trainer with automatic settings", function=_PEERS + "ours:train"
        ),
        Contestant(
            name="ours-fp32",
            description='Trainer with precision="fp32"',
            function=_PEERS + "ours:train",
            options={"precision": "fp32"},
        ),
        Contestant(
            name="lightning",
            description="Lightning's Trainer with its defaults, the course loop's loader, two logged metrics",
            function=_PEERS + "lightning_trainer:train",
            packages=("lightning",),
        ),
        Contestant(
            name="lightning-tuned",
            description="Lightning with bf16-mixed, NHWC, resident images, fused SGD; logger, bar and checkpoints off",
            function=_PEERS + "lightning_trainer:train",
            options={"tuned": True},
            packages=("lightning",),
        ),
        Contestant(
            name="fastai",
            description="fastai's Learner with its defaults and accuracy, the course loop's images",
            function=_PEERS + "fastai_learner:train",
            packages=("fastai",),
        ),
        Contestant(
            name="timm",
            description="loop in the style of timm's script, the course loop's loader, the loss read each 50 steps",
            function=_PEERS + "timm_loop:train",
            packages=("timm",),
        ),
        Contestant(
            name="accelerate",
            description="course loop with Accelerate's prepare and backward",
            function=_PEERS + "accelerate_loop:train",
            packages=("accelerate",),
        ),
        Contestant(
            name="ignite",
            description="Ignite's supervised trainer, the course loop's loader",
            function=_PEERS + "ignite_engine:train",
            packages=("ignite",),
        ),
    ),
)

OVERHEAD = Benchmark(
    name="overhead",
    description="time of a step when the network costs next to nothing: MLP 64-32-10, ready batches of 32",
    unit="µs a step",
    higher_is_better=False,
    reference="plain",
    workloads=(
        Workload(
            name="mlp",
            description="one thread",
            settings={
                "model": "mlp",
                "batch_size": 32,
                "side": 8,
                "channels": 1,
                "ready": True,
                "warmup_steps": 300,
                "seconds": 3.0,
            },
            threads=1,
        ),
    ),
    contestants=(
        Contestant(
            name="plain",
            description="hand-written loop that reads no number",
            function=_PEERS + "plain:train",
            options={"read": False},
        ),
        Contestant(
            name="plain-fused",
            description="the same with fused SGD",
            function=_PEERS + "plain:train",
            options={"read": False, "fused": True},
        ),
        Contestant(
            name="plain-items",
            description="the same as plain, loss and accuracy read with .item() each step",
            function=_PEERS + "plain:train",
        ),
        Contestant(
            name="ours-epoch",
            description="train_epoch with loss and accuracy, fused SGD",
            function=_PEERS + "ours:epoch",
        ),
        Contestant(
            name="ours",
            description="Trainer.fit with automatic settings; its own loader instead of ready batches",
            function=_PEERS + "ours:train",
        ),
        Contestant(
            name="lightning",
            description="Lightning with its defaults, loss and accuracy logged",
            function=_PEERS + "lightning_trainer:train",
            packages=("lightning",),
        ),
        Contestant(
            name="lightning-off",
            description="Lightning with logger, checkpoints, bar and summary off",
            function=_PEERS + "lightning_trainer:train",
            options={"quiet": True},
            packages=("lightning",),
        ),
        Contestant(
            name="fastai",
            description="fastai's Learner with its defaults and accuracy",
            function=_PEERS + "fastai_learner:train",
            packages=("fastai",),
        ),
        Contestant(
            name="timm",
            description="loop in the style of timm's script",
            function=_PEERS + "timm_loop:train",
            packages=("timm",),
        ),
        Contestant(
            name="accelerate",
            description="Accelerate's prepare and backward, loss and accuracy read each step",
            function=_PEERS + "accelerate_loop:train",
            packages=("accelerate",),
        ),
        Contestant(
            name="ignite",
            description="Ignite's supervised trainer with a running average of the loss",
            function=_PEERS + "ignite_engine:train",
            packages=("ignite",),
        ),
    ),
)
