"""One optimiser step of a GPT written the published way in PyTorch, for comparison with `nextpatch bench train`.

Debian: apt install python3-torch (1.13). Shapes of GPT-B at 256 codes, vocabulary 16384; class-conditional.
For each patch side p: embeddings of p x p codes are averaged, logits are repeated p^2 times, cross-entropy, backward, clip, AdamW.

usage: python3 bench/published_step.py [--threads 2] [--rounds 3] [--sides 1,2,4] [--images 4,16,64]
Prints JSON: seconds per image of the whole step, the minimum and the median over rounds.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, LAYERS, HEADS, FFN, VOCABULARY, GRID, CLASSES = 768, 12, 12, 2048, 16384, 16, 1000


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-5)).type_as(x) * self.weight


def rotary(side):
    half = WIDTH // HEADS // 2
    frequencies = 1.0 / (10000 ** (torch.arange(0, half, 2)[: half // 2].float() / half))
    angles = torch.outer(torch.arange(side).float(), frequencies)
    grid = torch.cat([angles[:, None, :].expand(-1, side, -1), angles[None, :, :].expand(side, -1, -1)], -1).reshape(side * side, half)
    table = torch.stack([grid.cos(), grid.sin()], -1)
    return torch.cat([torch.zeros(1, half, 2), table])  # the class token is not rotated, it vanishes


def rotate(x, table):
    pairs = x.float().reshape(*x.shape[:-1], -1, 2)
    table = table.view(1, pairs.size(1), 1, pairs.size(3), 2)
    cos, sin = table[..., 0], table[..., 1]
    turned = torch.stack([pairs[..., 0] * cos - pairs[..., 1] * sin, pairs[..., 1] * cos + pairs[..., 0] * sin], -1)
    return turned.flatten(3).type_as(x)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.wqkv, self.wo = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.w1, self.w3, self.w2 = nn.Linear(WIDTH, FFN, bias=False), nn.Linear(WIDTH, FFN, bias=False), nn.Linear(FFN, WIDTH, bias=False)
        self.n1, self.n2, self.dropout = Norm(), Norm(), nn.Dropout(0.1)

    def forward(self, x, table, mask):
        b, t, _ = x.shape
        q, k, v = self.wqkv(self.n1(x)).split(WIDTH, -1)
        q, k = rotate(q.view(b, t, HEADS, -1), table), rotate(k.view(b, t, HEADS, -1), table)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.view(b, t, HEADS, -1).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) * q.size(-1) ** -0.5 + mask
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, WIDTH)
        x = x + self.dropout(self.wo(y))
        h = self.n2(x)
        return x + self.dropout(self.w2(F.silu(self.w1(h)) * self.w3(h)))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.classes, self.codes = nn.Embedding(CLASSES + 1, WIDTH), nn.Embedding(VOCABULARY, WIDTH)
        self.blocks, self.norm, self.head = nn.ModuleList([Block() for _ in range(LAYERS)]), Norm(), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.dropout = nn.Dropout(0.1)

    def forward(self, labels, codes, p):
        side, b = GRID // p, codes.size(0)
        blocks = codes.view(b, side, p, side, p).permute(0, 1, 3, 2, 4).reshape(b, side * side, p * p)
        tokens = self.codes(blocks).mean(2)
        x = self.dropout(torch.cat([self.classes(labels)[:, None], tokens[:, :-1]], 1))
        table = rotary(side)[: x.size(1)]
        mask = torch.full((x.size(1), x.size(1)), float("-inf")).triu(1)
        for block in self.blocks:
            x = block(x, table, mask)
        logits = self.head(self.norm(x)).float()
        repeated = logits[:, :, None, :].expand(-1, -1, p * p, -1).reshape(-1, VOCABULARY)
        return F.cross_entropy(repeated, blocks.reshape(-1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", default="1,2,4")
    parser.add_argument("--images", default="4,16,64")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, (0.9, 0.95), weight_decay=0.05)
    sides, images = [[int(v) for v in text.split(",")] for text in (options.sides, options.images)]
    seconds = {p: [] for p in sides}
    for _ in range(options.rounds + 1):  # the first round warms up
        for p, n in zip(sides, images):
            codes, labels = torch.randint(VOCABULARY, (n, GRID * GRID)), torch.randint(CLASSES, (n,))
            start = time.perf_counter()
            optimizer.zero_grad()
            model(labels, codes, p).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seconds[p].append((time.perf_counter() - start) / n)
    print(json.dumps([
        {"name": f"p{p}.step", "unit": "s/image", "min": min(values[1:]), "median": statistics.median(values[1:]), "torch": torch.__version__}
        for p, values in seconds.items()]))


if __name__ == "__main__":
    main()
