"""The VGG's work in PyTorch and torchvision, for benches/vgg.rs to run alternately with ours.

Every line on standard input asks for one round, and its seconds are printed. Data and network are made before the first round.

step           training steps of the network on one minibatch in memory, nn.Sequential, optim.SGD
channels_last  the same with images and network in that memory format
augmentation   an epoch of images through torchvision's transforms, image by image, in a DataLoader with a process for each thread
"""

import argparse

import torch
from peer import serve
from torch import nn
from torch.nn import functional as F

SIDE = 64


def vgg():
    layers, channels = [], 3
    for width, has_pool in ((64, True), (128, True), (256, False), (256, True), (512, False), (512, True), (512, False)):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] + ([nn.MaxPool2d(2)] if has_pool else [])
        channels = width
    layers += [nn.Flatten(), nn.Linear(512 * 4 * 4, 4096), nn.ReLU(), nn.Dropout(0.4)]
    return nn.Sequential(*layers, nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.4), nn.Linear(4096, 2))


class Step:
    def __init__(self, arguments):
        memory_format = torch.channels_last if arguments.work == "channels_last" else torch.contiguous_format
        self.steps = arguments.images // arguments.minibatch
        self.images = torch.randn(arguments.minibatch, 3, SIDE, SIDE).to(memory_format=memory_format)
        self.labels = torch.randint(2, (arguments.minibatch,))
        self.model = vgg().to(memory_format=memory_format)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=1.5e-3)

    def round(self):
        for _ in range(self.steps):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(self.images), self.labels).backward()
            self.optimizer.step()


class Augmentation:
    def __init__(self, arguments):
        from PIL import Image
        from torch.utils.data import DataLoader, Dataset
        from torchvision import transforms

        class Photographs(Dataset):
            """As torchvision.datasets.ImageFolder has it, but decoded beforehand, as ours are."""

            def __init__(self):
                pixels = torch.randint(256, (arguments.images, SIDE, SIDE, 3), dtype=torch.uint8).numpy()
                self.images = [Image.fromarray(image) for image in pixels]
                self.transform = transforms.Compose(
                    [
                        transforms.RandomRotation(10),
                        transforms.RandomHorizontalFlip(0.5),
                        transforms.RandomResizedCrop(SIDE, scale=(0.8, 1.0), ratio=(3 / 4, 4 / 3)),
                        transforms.ColorJitter(0.2, 0.2, 0.2, 0.05),
                        transforms.RandomGrayscale(0.2),
                        transforms.ToTensor(),
                        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                    ]
                )

            def __len__(self):
                return len(self.images)

            def __getitem__(self, index):
                return self.transform(self.images[index]), 0

        self.loader = DataLoader(
            Photographs(), batch_size=arguments.minibatch, shuffle=True, num_workers=arguments.threads, persistent_workers=True
        )

    def round(self):
        for images, _ in self.loader:
            assert images.shape[1:] == (3, SIDE, SIDE)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["step", "channels_last", "augmentation"])
    parser.add_argument("--images", type=int, required=True, help="in a round")
    parser.add_argument("--minibatch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    serve((Augmentation if arguments.work == "augmentation" else Step)(arguments).round)


if __name__ == "__main__":
    main()
