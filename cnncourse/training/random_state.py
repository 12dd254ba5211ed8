"""The state of every generator of random numbers that training may draw from, to go on exactly."""

import random
import sys
import warnings
from typing import Any

import torch

from cnncourse.training.checkpoint_tree import CheckpointWarning, Tree


def capture_random_state() -> Tree:
    """Return the state of the global generators of Python, NumPy, PyTorch and its devices.

    NumPy's is there only if something imported it, those of CUDA cards only if CUDA is in use: neither is started.

    Returns:
        A tree of tensors and numbers, for :func:`~cnncourse.training.checkpoint_file.write_checkpoint`.

    Raises:
        ValueError: if NumPy's global generator was replaced by one of another kind.
    """
    version, words, gauss = random.getstate()
    state: dict[str, Any] = {
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "torch": torch.get_rng_state(),
    }
    if "numpy.random" in sys.modules:
        state["numpy"] = _numpy_state()
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: Tree) -> None:
    """Put the generators into a state that :func:`capture_random_state` returned.

    Args:
        state: the tree, also from a file.

    Warns:
        CheckpointWarning: if the state is of cards that this machine has not; their numbers will be others.
    """
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    torch.set_rng_state(state["torch"].cpu())
    if "numpy" in state:
        import numpy as np

        saved = state["numpy"]
        key = saved["key"].numpy().astype(np.uint32)
        np.random.set_state(("MT19937", key, saved["position"], saved["has_gauss"], saved["gauss"]))
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    saved_cards = state.get("cuda", [])
    if len(saved_cards) > cards:
        warnings.warn(
            CheckpointWarning(
                f"the checkpoint holds the random numbers of {len(saved_cards)} CUDA cards, here are {cards}: what "
                "is drawn on the others will differ from the uninterrupted run"
            ),
            stacklevel=2,
        )
    for index, card in enumerate(saved_cards[:cards]):
        torch.cuda.set_rng_state(card.cpu(), index)
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"].cpu())


def _numpy_state() -> dict[str, Any]:
    import numpy as np

    state = np.random.get_state(legacy=False)
    if not isinstance(state, dict) or state["bit_generator"] != "MT19937":
        raise ValueError(
            "NumPy's global generator must be its own MT19937 to be saved, it was replaced by "
            f"{state['bit_generator'] if isinstance(state, dict) else type(state).__name__}; "
            "draw from a Generator of your own instead"
        )
    return {
        "key": torch.from_numpy(state["state"]["key"].astype(np.int64)),
        "position": int(state["state"]["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }
