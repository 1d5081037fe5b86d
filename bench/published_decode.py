"""One guided 256x256 image drawn the published way in PyTorch, for comparison with `nextpatch bench decode`.

Debian: apt install python3-torch (1.13). Shapes of GPT-B at 256 codes, vocabulary 16384, and of the tokenizer VQ-16; random weights.
A code is one pass over the conditional and the unconditional row of every image with a cache of keys and values, guidance, softmax and one draw;
a pixel map is the decoder, a code map the encoder, one image at a time.

usage: python3 bench/published_decode.py [--threads 2] [--rounds 3] [--images 1,8,16,64] [--codes 16]
Prints JSON with the names of `nextpatch bench decode`: seconds, the minimum and the median over rounds; decode.fp32.N.code is one code of N images.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from published_step import CLASSES, FFN, GRID, HEADS, LAYERS, VOCABULARY, WIDTH, Norm, rotary

CHANNELS, MULTIPLIERS, BLOCKS, LATENT, CODE = 128, (1, 1, 2, 2, 4), 2, 256, 8


def rotate(x, angle):
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    cos, sin = angle[..., 0], angle[..., 1]
    return torch.stack([pairs[..., 0] * cos - pairs[..., 1] * sin, pairs[..., 1] * cos + pairs[..., 0] * sin], -1).flatten(-2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.wqkv, self.wo = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.w1, self.w3, self.w2 = nn.Linear(WIDTH, FFN, bias=False), nn.Linear(WIDTH, FFN, bias=False), nn.Linear(FFN, WIDTH, bias=False)
        self.n1, self.n2 = Norm(), Norm()
        self.keys = self.values = None

    def forward(self, x, angle, position, mask):
        b = x.size(0)
        q, k, v = (part.view(b, 1, HEADS, -1).transpose(1, 2) for part in self.wqkv(self.n1(x)).split(WIDTH, -1))
        self.keys[:, :, position], self.values[:, :, position] = rotate(k, angle)[:, :, 0], v[:, :, 0]
        # As published: over all places of the cache, those to come masked out.
        scores = rotate(q, angle) @ self.keys.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5 + mask
        x = x + self.wo((scores.softmax(-1) @ self.values).transpose(1, 2).reshape(b, 1, WIDTH))
        h = self.n2(x)
        return x + self.w2(F.silu(self.w1(h)) * self.w3(h))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.classes, self.codes = nn.Embedding(CLASSES + 1, WIDTH), nn.Embedding(VOCABULARY, WIDTH)
        self.blocks, self.norm, self.head = nn.ModuleList([Block() for _ in range(LAYERS)]), Norm(), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.table = rotary(GRID)

    def begin(self, rows):
        for block in self.blocks:
            block.keys, block.values = (torch.zeros(rows, HEADS, GRID * GRID + 1, WIDTH // HEADS) for _ in range(2))

    def step(self, codes, position):
        """Codes of N images, drawn before this position; gives the next ones."""
        both = torch.cat([codes, codes if position > 0 else torch.full_like(codes, CLASSES)])
        x = (self.codes if position > 0 else self.classes)(both)[:, None]
        mask = torch.where(torch.arange(GRID * GRID + 1) <= position, 0.0, float("-inf"))
        for block in self.blocks:
            x = block(x, self.table[position], position, mask)
        conditional, unconditional = self.head(self.norm(x))[:, 0].float().chunk(2)
        return torch.multinomial((unconditional + (conditional - unconditional) * 2).softmax(-1), 1)[:, 0]


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, inputs, 1e-6), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(32, outputs, 1e-6), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm, self.qkv, self.out = nn.GroupNorm(32, channels, 1e-6), nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, c, h * w).unbind(1)
        weights = (q.transpose(1, 2) @ k * c ** -0.5).softmax(-1)
        return x + self.out((v @ weights.transpose(1, 2)).reshape(b, c, h, w))


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


def middle(channels):
    return [Residual(channels, channels), Attention(channels), Residual(channels, channels)]


def encoder():
    layers, inputs = [nn.Conv2d(3, CHANNELS, 3, padding=1)], CHANNELS
    for level, factor in enumerate(MULTIPLIERS):
        for _ in range(BLOCKS):
            layers.append(Residual(inputs, CHANNELS * factor))
            inputs = CHANNELS * factor
            if level == len(MULTIPLIERS) - 1:
                layers.append(Attention(inputs))
        if level < len(MULTIPLIERS) - 1:
            layers.append(Down(inputs))
    end = [nn.GroupNorm(32, inputs, 1e-6), nn.SiLU(), nn.Conv2d(inputs, LATENT, 3, padding=1), nn.Conv2d(LATENT, CODE, 1)]
    return nn.Sequential(*layers, *middle(inputs), *end)


def decoder():
    inputs = CHANNELS * MULTIPLIERS[-1]
    layers = [nn.Conv2d(CODE, LATENT, 1), nn.Conv2d(LATENT, inputs, 3, padding=1), *middle(inputs)]
    for level in reversed(range(len(MULTIPLIERS))):
        for _ in range(BLOCKS + 1):
            layers.append(Residual(inputs, CHANNELS * MULTIPLIERS[level]))
            inputs = CHANNELS * MULTIPLIERS[level]
            if level == len(MULTIPLIERS) - 1:
                layers.append(Attention(inputs))
        if level > 0:
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, inputs, 3, padding=1)]
    return nn.Sequential(*layers, nn.GroupNorm(32, inputs, 1e-6), nn.SiLU(), nn.Conv2d(inputs, 3, 3, padding=1))


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", default="1,8,16,64")
    parser.add_argument("--codes", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    model, encode, decode, codebook = Gpt().eval(), encoder().eval(), decoder().eval(), F.normalize(torch.randn(VOCABULARY, CODE), dim=-1)
    seconds = {}

    def add(name, value):
        seconds.setdefault(name, []).append(value)

    def find(image):
        latents = F.normalize(encode(image)[0].flatten(1).t(), dim=-1)
        return (latents.pow(2).sum(1, keepdim=True) + codebook.pow(2).sum(1) - 2 * latents @ codebook.t()).argmin(1)

    def image():
        codes = torch.zeros(1, dtype=torch.long)
        drawn = []
        model.begin(2)
        for position in range(GRID * GRID):
            codes = model.step(codes, position)
            drawn.append(codes)
        decode(codebook[torch.cat(drawn)].t().reshape(1, CODE, GRID, GRID))

    for _ in range(options.rounds + 1):  # the first round warms up
        for count in (int(text) for text in options.images.split(",")):
            model.begin(2 * count)
            codes = torch.zeros(count, dtype=torch.long)
            places = [int((i + 0.5) * GRID * GRID / options.codes) for i in range(options.codes)]
            add(f"decode.fp32.{count}.code", timed(lambda: [model.step(codes, place) for place in places]) / len(places))
        add("tokenizer.decode", timed(lambda: decode(torch.randn(1, CODE, GRID, GRID))))
        add("tokenizer.encode", timed(lambda: find(torch.rand(1, 3, 16 * GRID, 16 * GRID) * 2 - 1)))
        add("image.warm", timed(image))
    print(json.dumps([
        {"name": name, "unit": "s", "min": min(values[1:]), "median": statistics.median(values[1:]), "torch": torch.__version__}
        for name, values in seconds.items()]))


main()
