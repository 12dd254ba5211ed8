"""``predict`` names what is on photographs."""

import argparse
import json
from pathlib import Path
from typing import Any

from cnncourse.cli.options import add_command, add_device, add_json

EXAMPLES = """examples:
  cnncourse predict cat.jpg                                       an ImageNet network that an installed package carries
  cnncourse predict --run runs/lenet-mnist-book-seed-0 seven.png  a network trained here
  cnncourse predict --model mobilenet_v2 --weights mobilenet_v2.pth *.jpg --top 3 --json"""


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    predict = add_command(
        subparsers,
        "predict",
        help="name what is on images",
        description="Show the most probable classes of image files.",
        examples=EXAMPLES,
    )
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    source = predict.add_mutually_exclusive_group()
    source.add_argument(
        "--run", dest="run_folder", metavar="RUN", help="folder of a run, or a checkpoint file"
    )
    source.add_argument(
        "--model", default="efficientnet_lite0", help="a network with ImageNet weights (default: %(default)s)"
    )
    predict.add_argument(
        "--weights", default="imagenet", metavar="FILE", help="of --model (default: the official ones)"
    )
    predict.add_argument("--top", type=int, default=5, metavar="K", help="classes to show (default: 5)")
    add_device(predict)
    add_json(predict)
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> int:
    if arguments.top < 1:
        raise ValueError(f"--top must be at least 1, got {arguments.top}")
    absent = [str(path) for path in arguments.images if not path.is_file()]
    if absent:
        raise ValueError(f"no such file: {', '.join(absent)}")
    from cnncourse.recipes.image_labels import label_images

    found = label_images(
        arguments.images,
        run=arguments.run_folder,
        model=arguments.model,
        weights=arguments.weights,
        top=arguments.top,
        device=arguments.device,
    )
    if arguments.json:
        print(
            json.dumps(
                [{"image": str(path), "classes": classes} for path, classes in found], ensure_ascii=False
            )
        )
        return 0
    for path, classes in found:
        print(path)
        for answer in classes:
            print(f"  {answer['probability']:7.2%}  {answer['class']}")
    return 0
