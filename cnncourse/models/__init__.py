"""Networks, one paper a file; a model does not know that it is trained."""

from cnncourse.models.alexnet import AlexNet2012
from cnncourse.models.alexnet_one_tower import AlexNetOneTower
from cnncourse.models.catalogue import CATALOGUE, build, built_as, find, names
from cnncourse.models.cifar_resnet import CifarResNet
from cnncourse.models.convnext import ConvNeXt
from cnncourse.models.densenet import CifarDenseNet, DenseNet
from cnncourse.models.efficientnet import EfficientNet
from cnncourse.models.entry import Entry, Preprocessing, Printed, PrintedError, WeightsSource
from cnncourse.models.fully_convolutional import FullyConvolutional, fully_convolutional
from cnncourse.models.googlenet import GoogLeNet
from cnncourse.models.lenet import LeNet5
from cnncourse.models.lenet_1998 import LeNet5Of1998
from cnncourse.models.mlp import MLP, hidden_width
from cnncourse.models.mobilenet_v1 import MobileNetV1
from cnncourse.models.mobilenet_v2 import MobileNetV2
from cnncourse.models.nas_cells import Cell, Genotype
from cnncourse.models.nasnet import NASNet
from cnncourse.models.preact_resnet import PreActCifarResNet, PreActResNet
from cnncourse.models.resnet import ResNet
from cnncourse.models.shufflenet_v1 import ShuffleNetV1
from cnncourse.models.shufflenet_v2 import ShuffleNetV2
from cnncourse.models.speed_net import SpeedNet, whitening_weights
from cnncourse.models.squeezenet import SqueezeNet
from cnncourse.models.surgery import deepened, removable_blocks, without_block
from cnncourse.models.vgg import VGG
from cnncourse.models.weights import load_weights, read_weights
from cnncourse.models.wide_resnet import WideResNet

__all__ = [
    "CATALOGUE",
    "MLP",
    "VGG",
    "AlexNet2012",
    "AlexNetOneTower",
    "Cell",
    "CifarDenseNet",
    "CifarResNet",
    "ConvNeXt",
    "DenseNet",
    "EfficientNet",
    "Entry",
    "FullyConvolutional",
    "Genotype",
    "GoogLeNet",
    "LeNet5",
    "LeNet5Of1998",
    "MobileNetV1",
    "MobileNetV2",
    "NASNet",
    "PreActCifarResNet",
    "PreActResNet",
    "Preprocessing",
    "Printed",
    "PrintedError",
    "ResNet",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "SpeedNet",
    "SqueezeNet",
    "WeightsSource",
    "WideResNet",
    "build",
    "built_as",
    "deepened",
    "find",
    "fully_convolutional",
    "hidden_width",
    "load_weights",
    "names",
    "read_weights",
    "removable_blocks",
    "whitening_weights",
    "without_block",
]
