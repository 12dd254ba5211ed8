"""Published set-ups, one a file: the only place where model, data, augmentation and trainer meet.

``RECIPES`` maps a record's name to the module that makes it; the module has ``TITLE`` and
``run(budget, *, seeds, root, device, progress) -> Record``.
"""

RECIPES = {
    "lenet-mnist": "cnncourse.recipes.lenet_mnist",
    "mlp-mnist": "cnncourse.recipes.mlp_mnist",
    "sawtooth-race": "cnncourse.recipes.sawtooth_race",
}

__all__ = ["RECIPES"]
