"""A small transformer on the characters of a text, as one writes it in an afternoon: no option for the seed.

The text is the file that the variable CHARACTERS names; one that ends in .xz is unpacked.
"""

import argparse
import lzma
import math
import os
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

CONTEXT, BATCH, WIDTH, LAYERS = 64, 16, 64, 2
HELD_OUT = 0.1  # of the text, its end
TESTED = 64  # windows of it, evenly apart


def options() -> argparse.Namespace:
    """What can be changed."""
    asked = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    asked.add_argument("--steps", type=int, default=1000, help="of training")
    asked.add_argument("--lr", type=float, default=3e-3, help="learning rate of AdamW at its highest")
    asked.add_argument("--warmup", type=float, default=0.1, help="share of the steps in which it rises")
    asked.add_argument("--decay", action=argparse.BooleanOptionalAction, default=True, help="cosine to a tenth")
    asked.add_argument("--weight-decay", type=float, default=0.1, help="of matrices")
    asked.add_argument("--beta2", type=float, default=0.99, help="of AdamW")
    asked.add_argument("--clip", type=float, default=1.0, help="norm of the gradient; 0: none")
    asked.add_argument("--dropout", type=float, default=0.0, help="of what a layer adds")
    asked.add_argument("--heads", type=int, default=4, help="of attention")
    asked.add_argument("--position", choices=("learned", "none"), default="learned", help="embedding of positions")
    asked.add_argument("--norm", choices=("pre", "post", "none"), default="pre", help="where layers are normalised")
    asked.add_argument("--residual", action=argparse.BooleanOptionalAction, default=True, help="around each layer")
    asked.add_argument("--tied", action=argparse.BooleanOptionalAction, default=True, help="embedding and output")
    return asked.parse_args()


class Block(nn.Module):
    """Attention or a perceptron, with what is around it."""

    def __init__(self, inner: nn.Module, args: argparse.Namespace) -> None:
        super().__init__()
        self.inner, self.args = inner, args
        self.norm = nn.Identity() if args.norm == "none" else nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, context, width) -> the same."""
        y: Tensor = self.inner(self.norm(x) if self.args.norm == "pre" else x)
        y = functional.dropout(y, self.args.dropout, self.training)
        y = x + y if self.args.residual else y
        return self.norm(y) if self.args.norm == "post" else y


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, context, width) -> the same."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y: Tensor = self.out(
            functional.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
        )
        return y


class Transformer(nn.Module):
    """Characters -> logits of the next."""

    def __init__(self, characters: int, args: argparse.Namespace) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, WIDTH)
        self.position = nn.Parameter(0.02 * torch.randn(CONTEXT, WIDTH)) if args.position == "learned" else None
        inner = [
            part
            for _ in range(LAYERS)
            for part in (
                Attention(args.heads),
                nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)),
            )
        ]
        self.blocks = nn.Sequential(*(Block(one, args) for one in inner))
        self.norm = nn.Identity() if args.norm == "none" else nn.LayerNorm(WIDTH)
        self.out = nn.Linear(WIDTH, characters, bias=False)
        nn.init.normal_(self.embed.weight, std=0.02)
        if args.tied:
            self.out.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        """(batch, context) -> (batch, context, characters)."""
        found = self.embed(x) if self.position is None else self.embed(x) + self.position
        logits: Tensor = self.out(self.norm(self.blocks(found)))
        return logits


def main() -> None:
    """Trains, and prints the losses ten times."""
    args = options()
    path = Path(os.environ.get("CHARACTERS", ""))
    if not path.is_file():
        raise SystemExit("set the variable CHARACTERS to the path of a text, such as tinyshakespeare.txt.xz")
    content = path.read_bytes()
    text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
    known = {character: number for number, character in enumerate(sorted(set(text)))}
    whole = torch.tensor([known[character] for character in text])
    cut = int(len(whole) * (1 - HELD_OUT))
    starts = torch.linspace(cut, len(whole) - CONTEXT - 1, TESTED).long()
    tested = torch.stack([whole[start : start + CONTEXT + 1] for start in starts])

    torch.manual_seed(1337)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = Transformer(len(known), args)
    matrices = [one for one in model.parameters() if one.ndim > 1]
    others = [one for one in model.parameters() if one.ndim < 2]
    groups = [{"params": matrices, "weight_decay": args.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, args.beta2))

    def rate(step: int) -> float:
        rise = max(1, int(args.warmup * args.steps))
        if step < rise and args.warmup:
            return (step + 1) / rise
        return 0.1 + 0.45 * (1 + math.cos(math.pi * step / args.steps)) if args.decay else 1.0

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)

    def loss_of(windows: Tensor) -> Tensor:
        return functional.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())

    for step in range(1, args.steps + 1):
        batch = torch.stack([whole[at : at + CONTEXT + 1] for at in torch.randint(cut - CONTEXT, (BATCH,))])
        loss = loss_of(batch)
        optimiser.zero_grad()
        loss.backward()
        if args.clip:
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimiser.step()
        schedule.step()
        if step % max(1, args.steps // 10) == 0 or step == args.steps:
            model.eval()
            with torch.no_grad():
                print(f"step {step}: train loss {loss.item():.6f}, val loss {loss_of(tested).item():.6f}", flush=True)
            model.train()


if __name__ == "__main__":
    main()
