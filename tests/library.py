"""Builds networks in PyTorch from nothing but their TOML files, loads what tests/library.rs saved of them, and compares the predictions."""

import sys
import tomllib
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import pad


class Block(nn.Module):
    def __init__(self, inputs, filters):
        super().__init__()
        stride = 1 if inputs == filters else 2
        self.conv1, self.bn1 = nn.Conv2d(inputs, filters, 3, stride, padding=1), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, padding=1), nn.BatchNorm2d(filters)
        self.shortcut = nn.Sequential()
        if inputs != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, filters, 1, stride), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


def module_of(kind, value, shape):
    """PyTorch's prefix for the name of such modules, and the module for inputs of this shape."""
    match kind:
        case "convolution":
            return "conv", nn.Conv2d(shape[1], value, 3, padding=1)
        case "fully_connected":
            return "fc", nn.Sequential(nn.Flatten(), nn.Linear(shape[1:].numel(), value))
        case "batch_norm":
            return "bn", (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(shape[1])
        case "group_norm":
            return "gn", nn.GroupNorm(value, shape[1])
        case "residual_block":
            return "block", Block(shape[1], value)
        case "max_pool":
            return "pool", nn.MaxPool2d(2)
        case "global_average_pool":
            return "avgpool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "dropout":
            return "drop", nn.Dropout(value)


class Network(nn.Module):
    """The network of a TOML's `model`, for images of this shape."""

    def __init__(self, model, image, classes):
        super().__init__()
        layers = model.get("layers") or [{"fully_connected": width} for width in [*model["hidden"], classes]]
        self.views, self.steps, counts, relu = model.get("views", "single"), [], Counter(), False
        x = torch.zeros(1, *image)
        for layer in layers:
            kind, value = next(iter(layer.items())) if isinstance(layer, dict) else (layer, None)
            # The ReLU of a layer comes after the normalization that follows it.
            if relu and kind not in ("batch_norm", "group_norm"):
                self.steps.append(torch.relu)
                relu = False
            relu = relu or kind in ("convolution", "fully_connected")
            prefix, module = module_of(kind, value, x.shape)
            counts[prefix] += 1
            # Flattening has no place in the names.
            self.add_module(f"{prefix}{counts[prefix]}", module[1] if prefix == "fc" else module)
            self.steps.append(module.eval())
            x = module(x)

    def forward(self, x):
        (height, width), wide = x.shape[2:], pad(x, (1, 1, 1, 1))
        views = {"single": [x], "mirrored": [x, x.flip(3)]}.get(self.views) or [
            wide[:, :, top : top + height, left : left + width] for top, left in [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
        ]
        return torch.stack([self.once(view) for view in views]).mean(0)

    def once(self, x):
        for step in self.steps:
            x = step(x)
        return x


for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    toml = tomllib.loads(path.with_suffix(".toml").read_text())
    experiment, example = toml.get("experiment", toml), load_file(path.with_suffix(".example"))
    images, logits = example["images"] / 255, example["logits"]
    network = Network(experiment["model"], images.shape[1:], logits.shape[1])
    state_dict = load_file(path)
    network.load_state_dict(state_dict)
    network.eval()
    if (normalization := experiment.get("normalization")) is not None:
        mean, deviation = (torch.tensor(normalization[key]).view(1, -1, 1, 1) for key in ("mean", "deviation"))
        images = (images - mean) / deviation
    with torch.no_grad():
        found = torch.cat([network(part) for part in images.split(100)])
    difference = (found.softmax(1) - logits.softmax(1)).abs().max().item()
    print(f"{path.stem}: probabilities differ by up to {difference:.1e}")
    assert difference < 1e-4, f"{path.stem}: {difference}"
    if "experiment" not in toml:
        torch.testing.assert_close(found, logits, rtol=1e-5, atol=1e-6, msg=lambda text: f"{path.stem}: {text}")
    if (submitted := example.get("submitted")) is not None:
        # It may have been computed in bfloat16: what is nearly undecided may differ. -1 is no image of the submission.
        decided = ((found.softmax(1)[:, 1] - 0.5).abs() > 0.02) & (submitted >= 0)
        differing = (found.argmax(1) != submitted)[decided].sum().item()
        assert differing == 0, f"{path.stem}: {differing} of {decided.sum()} test images are submitted as the other class"
