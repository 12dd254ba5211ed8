"""Benchmarks of what networks are made of: a convolution from scratch, and whole networks."""

from cnncourse.bench.benchmark import Benchmark, Contestant, Workload

_PEERS = "cnncourse.bench.peers."
_LAYER = {"channels": 64, "side": 32, "kernel": 3, "batch_size": 64, "warmup_steps": 2, "seconds": 4.0}
_FORWARD = ("forward",)


def _way(name: str, description: str, function: str, both: bool = False, **options: object) -> Contestant:
    return Contestant(
        name=name,
        description=description,
        function=f"{_PEERS}convolutions:{function}",
        options=options,
        workloads=None if both else _FORWARD,
    )


CONV = Benchmark(
    name="conv",
    description="one convolution, 64 to 64 channels, 3 x 3, 32 x 32 pixels, batch 64",
    unit="images/s",
    higher_is_better=True,
    reference="torch",
    flops_a_multiply_add=2,
    workloads=(
        Workload(name="forward", description="the output", settings={**_LAYER, "action": "forward"}),
        Workload(
            name="backward",
            description="the gradients of images and weights, without the forward pass",
            settings={**_LAYER, "action": "backward"},
        ),
    ),
    contestants=(
        _way("torch", "F.conv2d, NCHW, fp32", "pytorch", both=True),
        _way("torch-nhwc", "F.conv2d, channels-last, fp32", "pytorch", both=True, layout="NHWC"),
        _way("torch-nhwc-bf16", "the same in bf16", "pytorch", both=True, layout="NHWC", bf16=True),
        _way("loops", "seven loops over array elements; a few windows, extrapolated", "loops", both=True),
        _way("loops-lists", "the same over nested lists; a few windows, extrapolated", "loops_over_lists"),
        _way("einsum", "NumPy, einsum over a view of the windows", "numpy_einsum"),
        _way("im2col-numpy", "NumPy, the columns of the whole batch and one product", "numpy_columns"),
        _way("unfold", "torch's unfold of the whole batch and one product", "unfold", both=True),
        _way("ours", "im2col a few images at a time, products straight to their place", "ours", both=True),
        _way("product", "the product of the matrices alone: im2col if copying were free", "product"),
    ),
)

COMPARED = (
    "alexnet",
    "vgg11",
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
    "convnext_tiny",
)
"""Networks of both libraries, one or two a family."""
_ACTIONS = {
    "forward": ("in eval, no gradients, 8 images of 224 x 224", {"batch_size": 8, "seconds": 6.0}),
    "step": ("a training step, 8 images of 224 x 224", {"batch_size": 8, "seconds": 9.0}),
    "build": ("built with fresh weights", {"seconds": 3.0}),
    "count": ("built and counted on the meta device", {"seconds": 1.5}),
}

MODELS = Benchmark(
    name="models",
    description="the same networks, here and in torchvision: forward, training step, building, counting",
    unit="s",
    higher_is_better=False,
    reference="torchvision",
    workloads=tuple(
        Workload(
            name=f"{action}-{model}",
            description=f"{model}, {text}",
            settings={"action": action, "model": model, "warmup_steps": 2, "warmup_seconds": 1.0, **settings},
        )
        for action, (text, settings) in _ACTIONS.items()
        for model in COMPARED
    ),
    contestants=(
        Contestant(
            name="torchvision",
            description="torchvision.models.get_model",
            function=_PEERS + "networks:by_torchvision",
        ),
        Contestant(
            name="ours",
            description="cnncourse.models.build, the same weights",
            function=_PEERS + "networks:ours",
        ),
    ),
)
