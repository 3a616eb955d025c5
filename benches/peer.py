"""The same work in PyTorch, for the benchmark beside this file to run alternately with ours.

Started once for each kind of work; then every line on standard input asks for one round, and its seconds are printed. Data and
network are made before the first round.

tight          tensors in memory, slices of one shuffled copy, nn.Sequential, cross_entropy, optim.SGD
channels_last  the same with images and network in that memory format
compiled       tight, with torch.compile
idiomatic      a torchvision-style data set of images, ToTensor, a shuffling DataLoader, nn.Sequential, optim.SGD
"""

import argparse
import gzip
import struct
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

EVALUATION_MINIBATCH = 1000
STEP_EXAMPLES = 20_480
TABLE_2 = [[512, 512], [256, 256], [512, 256], [64, 64], [32, 32]]


def read_idx(folder, name):
    for path, opener in ((folder / (name + ".gz"), gzip.open), (folder / name, open)):
        if path.exists():
            with opener(path, "rb") as file:
                content = file.read()
            dimensions = struct.unpack(">" + "I" * content[3], content[4 : 4 + 4 * content[3]])
            return torch.frombuffer(bytearray(content[4 + 4 * content[3] :]), dtype=torch.uint8).view(dimensions)
    sys.exit(f"{folder} holds no {name}")


def mnist(folder, train):
    """Train, validation and test as (uint8 images, labels); the first so many of the training file are for training."""
    images, labels = read_idx(folder, "train-images-idx3-ubyte"), read_idx(folder, "train-labels-idx1-ubyte").long()
    test = read_idx(folder, "t10k-images-idx3-ubyte"), read_idx(folder, "t10k-labels-idx1-ubyte").long()
    return [(images[:train], labels[:train]), (images[train:], labels[train:]), test]


def cnn():
    layers, channels = [], 1
    for filters in (18, 36, 72):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    layers += [nn.Conv2d(72, 72, 3, padding=1), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(72 * 3 * 3, 750), nn.ReLU(), nn.Linear(750, 10))


def mlp(hidden):
    layers, width = [nn.Flatten()], 784
    for next_width in hidden:
        layers += [nn.Linear(width, next_width), nn.ReLU()]
        width = next_width
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


class Tight:
    def __init__(self, arguments):
        self.prepare(arguments)
        splits = mnist(arguments.data, arguments.train)
        self.splits = [(self.in_format(images.float().div(255).unsqueeze(1)), labels) for images, labels in splits]
        self.reset(arguments.hidden)

    def prepare(self, arguments):
        self.bf16 = arguments.precision == "bf16"
        self.minibatch, self.momentum = arguments.minibatch, arguments.momentum
        self.is_compiled = arguments.style == "compiled"
        is_channels_last = arguments.style == "channels_last"
        self.format = torch.channels_last if is_channels_last else torch.contiguous_format

    def in_format(self, value):
        return value.to(memory_format=self.format)

    def reset(self, hidden):
        self.model = self.in_format(mlp(hidden) if hidden else cnn())
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=self.momentum)
        if self.is_compiled:
            self.model = torch.compile(self.model)

    def train_minibatch(self, images, labels):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.optimizer.step()

    def step(self):
        images, labels = self.splits[0]
        for start in range(0, STEP_EXAMPLES // self.minibatch * self.minibatch, self.minibatch):
            self.train_minibatch(images[start : start + self.minibatch], labels[start : start + self.minibatch])

    def sweep(self, epochs=6):
        for hidden in TABLE_2:
            self.reset(hidden)
            for _ in range(epochs):
                self.epoch()

    def whole(self):
        self.sweep(epochs=60)

    def epoch(self):
        images, labels = self.splits[0]
        order = torch.randperm(len(labels))
        images, labels = images[order], labels[order]
        for start in range(0, len(labels), self.minibatch):
            self.train_minibatch(images[start : start + self.minibatch], labels[start : start + self.minibatch])
        return [self.evaluate(*split) for split in self.splits]

    @torch.no_grad()
    def evaluate(self, images, labels):
        loss = correct = 0
        for start in range(0, len(labels), EVALUATION_MINIBATCH):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                logits = self.model(images[start : start + EVALUATION_MINIBATCH])
            truth = labels[start : start + EVALUATION_MINIBATCH]
            loss += F.cross_entropy(logits, truth, reduction="sum").item()
            correct += (logits.argmax(1) == truth).sum().item()
        return loss / len(labels), correct / len(labels)


class Idiomatic(Tight):
    def __init__(self, arguments):
        from PIL import Image
        from torch.utils.data import DataLoader, Dataset
        from torchvision.transforms import ToTensor

        class Digits(Dataset):
            """As torchvision.datasets.MNIST has it: an image from the array, then the transform."""

            def __init__(self, images, labels):
                self.images, self.labels, self.transform = images, labels, ToTensor()

            def __len__(self):
                return len(self.labels)

            def __getitem__(self, index):
                return self.transform(Image.fromarray(self.images[index].numpy(), mode="L")), int(self.labels[index])

        train, validation, test = (Digits(*split) for split in mnist(arguments.data, arguments.train))
        self.prepare(arguments)
        self.train_loader = DataLoader(train, batch_size=arguments.minibatch, shuffle=True)
        self.loaders = [DataLoader(digits, batch_size=EVALUATION_MINIBATCH) for digits in (train, validation, test)]
        self.reset(arguments.hidden)

    def epoch(self):
        for images, labels in self.train_loader:
            self.train_minibatch(images, labels)
        return [self.evaluate_loader(loader) for loader in self.loaders]

    @torch.no_grad()
    def evaluate_loader(self, loader):
        loss = correct = total = 0
        for images, labels in loader:
            logits = self.model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(1) == labels).sum().item()
            total += len(labels)
        return loss / total, correct / total


def serve(work):
    """A round of `work` for each line on standard input."""
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        work()
        print(time.perf_counter() - start, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("style", choices=["tight", "channels_last", "compiled", "idiomatic"])
    parser.add_argument("work", choices=["step", "epoch", "sweep", "whole"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--hidden", type=lambda text: [int(width) for width in text.split(",")], help="an MLP, else the CNN")
    parser.add_argument("--minibatch", type=int, required=True)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--train", type=int, required=True, help="training examples; the rest of the file is for validation")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    peer = (Idiomatic if arguments.style == "idiomatic" else Tight)(arguments)
    serve(getattr(peer, arguments.work))


if __name__ == "__main__":
    main()
