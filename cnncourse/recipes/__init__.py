"""Published set-ups, one a file: the only place where model, data, augmentation and trainer meet.

``RECIPES`` maps a name to the module of a recipe. The module has ``NAME``, ``TITLE`` and ``plan(budget, *, root,
device, **options) -> Plan``; one that trains no classifier of images has ``run(budget, *, seeds, root, device,
progress, report) -> Record`` instead.
"""

RECIPES = {
    "ablation-atlas": "cnncourse.recipes.ablation_atlas",
    "alexnet-switches": "cnncourse.recipes.alexnet_switches",
    "classifier": "cnncourse.recipes.classifier",
    "crop-ensembles": "cnncourse.recipes.crop_ensembles",
    "deep-start": "cnncourse.recipes.deep_start",
    "folder-finetune": "cnncourse.recipes.folder_finetune",
    "lenet-fashion": "cnncourse.recipes.lenet_fashion",
    "lenet-mnist": "cnncourse.recipes.lenet_mnist",
    "lrn-switch": "cnncourse.recipes.lrn_switch",
    "mlp-mnist": "cnncourse.recipes.mlp_mnist",
    "plain-cifar10": "cnncourse.recipes.plain_cifar10",
    "public-weights": "cnncourse.recipes.public_weights",
    "relu-tanh-race": "cnncourse.recipes.relu_tanh_race",
    "resnet-cifar10": "cnncourse.recipes.resnet_cifar10",
    "sawtooth-race": "cnncourse.recipes.sawtooth_race",
    "scale-jitter": "cnncourse.recipes.scale_jitter",
    "speed-cifar10": "cnncourse.recipes.speed_cifar10",
}

__all__ = ["RECIPES"]
