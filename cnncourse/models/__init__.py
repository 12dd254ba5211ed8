"""Networks, one paper a file; a model does not know that it is trained."""

from cnncourse.models.lenet import LeNet5
from cnncourse.models.mlp import MLP, hidden_width

__all__ = ["MLP", "LeNet5", "hidden_width"]
