"""Benchmarks of what feeds a network: augmentation and loaders."""

from cnncourse.bench.benchmark import Benchmark, Contestant, Workload

_PEERS = "cnncourse.bench.peers."
_RESIDENT = ("crop_flip",)
_FOLDER = ("folder",)

AUGMENT = Benchmark(
    name="augment",
    description="augmentation and normalisation of resident images of 32 x 32, batch 128",
    unit="images/s",
    higher_is_better=True,
    reference="torchvision",
    workloads=tuple(
        Workload(name=name, description=text, settings={"operation": name, "batch_size": 128, "seconds": 3.0})
        for name, text in (
            ("crop_flip", "pad by 4, crop, flip"),
            ("colour_jitter", "brightness, contrast and saturation by 0.4, hue by 0.1"),
            ("random_resized_crop", "a rectangle of 8 to 100 % of the area, back to 32 x 32"),
            ("cutout", "a square of half the side erased"),
            ("mixup", "mixtures of pairs, with soft targets"),
        )
    ),
    contestants=(
        Contestant(
            name="torchvision",
            description="transforms.v2 on tensors, image by image",
            function=_PEERS + "torchvision_transforms:augment",
            options={"per_sample": True},
            workloads=("crop_flip", "colour_jitter", "random_resized_crop", "cutout"),
        ),
        Contestant(
            name="torchvision-batch",
            description="transforms.v2 on the whole batch: one draw for all its images",
            function=_PEERS + "torchvision_transforms:augment",
        ),
        Contestant(
            name="kornia",
            description="kornia on the whole batch, a draw for each image",
            function=_PEERS + "kornia_augmentation:augment",
            packages=("kornia",),
        ),
        Contestant(
            name="ours",
            description="draw and apply on the whole batch, a draw for each image",
            function=_PEERS + "our_input:augment",
        ),
        Contestant(
            name="ours-packed",
            description="the loader's own path for crop and flip: pixels packed in words",
            function=_PEERS + "our_input:in_memory",
            workloads=_RESIDENT,
        ),
    ),
)

LOADER = Benchmark(
    name="loader",
    description="loaders alone, batch 128: shuffled, augmented, normalised floats",
    unit="images/s",
    higher_is_better=True,
    reference="torchvision",
    workloads=(
        Workload(
            name="crop_flip",
            description="50,000 images of 32 x 32 in memory, pad-4 crop and flip",
            settings={
                "operation": "crop_flip",
                "batch_size": 128,
                "padding": 4,
                "flip": True,
                "seconds": 3.0,
            },
        ),
        Workload(
            name="folder",
            description="512 JPEG files of 400 x 300, random resized crop to 128 and flip",
            settings={"batch_size": 32, "files": 512, "file_side": 300, "crop": 128},
        ),
    ),
    contestants=(
        Contestant(
            name="torchvision",
            description="DataLoader without workers, PIL transforms image by image",
            function=_PEERS + "loaders:in_memory",
            workloads=_RESIDENT,
        ),
        Contestant(
            name="torchvision-workers",
            description="the same with two workers",
            function=_PEERS + "loaders:in_memory",
            options={"workers": 2},
            workloads=_RESIDENT,
        ),
        Contestant(
            name="torchvision-v2",
            description="DataLoader without workers, transforms.v2 on tensors, image by image",
            function=_PEERS + "loaders:in_memory",
            options={"tensors": True},
            workloads=_RESIDENT,
        ),
        Contestant(
            name="ours",
            description="batches() with packed pixels",
            function=_PEERS + "our_input:in_memory",
            workloads=_RESIDENT,
        ),
        Contestant(
            name="image-folder",
            description="torchvision's ImageFolder in a DataLoader without workers",
            function=_PEERS + "loaders:from_folder",
            workloads=_FOLDER,
        ),
        Contestant(
            name="image-folder-workers",
            description="the same with two workers",
            function=_PEERS + "loaders:from_folder",
            options={"workers": 2},
            workloads=_FOLDER,
        ),
        Contestant(
            name="ours-folder",
            description="batches() of a folder without workers",
            function=_PEERS + "our_input:from_folder",
            workloads=_FOLDER,
        ),
        Contestant(
            name="ours-folder-workers",
            description="the same with two workers",
            function=_PEERS + "our_input:from_folder",
            options={"workers": 2},
            workloads=_FOLDER,
        ),
    ),
)
