"""Reads the networks that tests/library.rs saved with PyTorch's own names, and compares their logits."""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import max_pool2d, relu


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(240, 7), nn.Linear(7, 6), nn.Linear(6, 5)

    def forward(self, x):
        return self.fc3(relu(self.fc2(relu(self.fc1(x.flatten(1))))))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.gn1 = nn.GroupNorm(2, 4)
        self.fc1, self.fc2 = nn.Linear(4 * 6 * 5, 6), nn.Linear(6, 5)

    def forward(self, x):
        x = max_pool2d(relu(self.conv1(x)), 2)
        x = relu(self.gn1(self.conv2(x)))
        return self.fc2(relu(self.fc1(x.flatten(1))))


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
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.block1, self.block2, self.fc1 = Block(4, 4), Block(4, 6), nn.Linear(6, 5)

    def forward(self, x):
        x = max_pool2d(relu(self.bn1(self.conv1(x))), 2)
        return self.fc1(self.block2(self.block1(x)).mean((2, 3)))


folder = Path(sys.argv[1])
for name, network in [("mlp", Mlp()), ("cnn", Cnn()), ("resnet", ResNet())]:
    path, example = folder / f"{name}.safetensors", load_file(folder / f"{name}_example.safetensors")
    state_dict = load_file(path)
    network.load_state_dict(state_dict)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(example["images"]), example["logits"], rtol=1e-5, atol=1e-6, msg=lambda text: f"{name}: {text}")
