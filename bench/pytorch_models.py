"""The models of bench/pytorch_ratio.py in PyTorch, and one training step of them, timed.

    python bench/pytorch_models.py MODEL --dtype f32 --mode eager --threads 2 --seconds 4

prints one JSON line: parameters, steps, the least and the median time of a step in nanoseconds,
and PyTorch's version. A step is forward pass, loss, backward pass, SGD with momentum 0.9 and
zero_grad, on inputs made before the clock starts. bf16 is autocast: weights, gradients and momentum
stay float32. Convolutional networks run channels-last. Dropout is off.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import nn

VOCAB = {"bert-base": 30522, "gpt2": 50257, "rnnlm": 10000}


# --- convolutional networks -----------------------------------------------------------------------
def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
                         nn.Linear(4096, 10))


def fashion_cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))


def alexnet():
    """Krizhevsky 2014, arXiv 1404.5997."""
    def conv(inputs, outputs, kernel, stride=1, padding=1):
        return [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(inplace=True)]
    return nn.Sequential(*conv(3, 64, 11, 4, 2), nn.MaxPool2d(3, 2), *conv(64, 192, 5, 1, 2), nn.MaxPool2d(3, 2),
                         *conv(192, 384, 3), *conv(384, 256, 3), *conv(256, 256, 3), nn.MaxPool2d(3, 2),
                         nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
                         nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000))


class ConvBn(nn.Sequential):
    def __init__(self, inputs, outputs, kernel, stride=1, padding=0, relu=True, eps=1e-5):
        layers = [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs, eps=eps)]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Bottleneck(nn.Module):
    """ResNet v1.5: the stride is on the 3×3."""

    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.main = nn.Sequential(ConvBn(inputs, planes, 1), ConvBn(planes, planes, 3, stride, 1),
                                  ConvBn(planes, 4 * planes, 1, relu=False))
        same = stride == 1 and inputs == 4 * planes
        self.side = nn.Identity() if same else ConvBn(inputs, 4 * planes, 1, stride, relu=False)

    def forward(self, x):
        return F.relu(self.main(x) + self.side(x), inplace=True)


def resnet_50():
    """He et al. 2015, arXiv 1512.03385."""
    layers, inputs = [ConvBn(3, 64, 7, 2, 3), nn.MaxPool2d(3, 2, 1)], 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            layers.append(Bottleneck(inputs, 64 << stage, 2 if stage > 0 and block == 0 else 1))
            inputs = 4 * (64 << stage)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


class Branches(nn.Module):
    """The branches' outputs one after the other, by channel."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception_v3():
    """Szegedy et al. 2015, arXiv 1512.00567, as torchvision has it, without the auxiliary classifier."""
    def conv(inputs, outputs, kernel, stride=1, padding=0):
        return ConvBn(inputs, outputs, kernel, stride, padding, eps=1e-3)

    def pooled(inputs, outputs):
        return nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(inputs, outputs, 1))

    def block_a(inputs, pool):
        return Branches(conv(inputs, 64, 1),
                        nn.Sequential(conv(inputs, 48, 1), conv(48, 64, 5, padding=2)),
                        nn.Sequential(conv(inputs, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, padding=1)),
                        pooled(inputs, pool))

    def block_c(c):
        return Branches(conv(768, 192, 1),
                        nn.Sequential(conv(768, c, 1), conv(c, c, (1, 7), padding=(0, 3)),
                                      conv(c, 192, (7, 1), padding=(3, 0))),
                        nn.Sequential(conv(768, c, 1), conv(c, c, (7, 1), padding=(3, 0)),
                                      conv(c, c, (1, 7), padding=(0, 3)), conv(c, c, (7, 1), padding=(3, 0)),
                                      conv(c, 192, (1, 7), padding=(0, 3))),
                        pooled(768, 192))

    def fork():
        return Branches(conv(384, 384, (1, 3), padding=(0, 1)), conv(384, 384, (3, 1), padding=(1, 0)))

    def block_e(inputs):
        return Branches(conv(inputs, 320, 1), nn.Sequential(conv(inputs, 384, 1), fork()),
                        nn.Sequential(conv(inputs, 448, 1), conv(448, 384, 3, padding=1), fork()),
                        pooled(inputs, 192))

    return nn.Sequential(
        conv(3, 32, 3, 2), conv(32, 32, 3), conv(32, 64, 3, padding=1), nn.MaxPool2d(3, 2),
        conv(64, 80, 1), conv(80, 192, 3), nn.MaxPool2d(3, 2),
        block_a(192, 32), block_a(256, 64), block_a(288, 64),
        Branches(conv(288, 384, 3, 2),
                 nn.Sequential(conv(288, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, 2)),
                 nn.MaxPool2d(3, 2)),
        block_c(128), block_c(160), block_c(160), block_c(192),
        Branches(nn.Sequential(conv(768, 192, 1), conv(192, 320, 3, 2)),
                 nn.Sequential(conv(768, 192, 1), conv(192, 192, (1, 7), padding=(0, 3)),
                               conv(192, 192, (7, 1), padding=(3, 0)), conv(192, 192, 3, 2)),
                 nn.MaxPool2d(3, 2)),
        block_e(1280), block_e(2048), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


# --- transformers ---------------------------------------------------------------------------------
class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, s, width = x.shape
        q, k, v = self.qkv(x).view(n, s, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(n, s, width))


class TransformerLayer(nn.Module):
    """Pre-norm with the tanh approximation of gelu (GPT-2), or post-norm with gelu itself (BERT)."""

    def __init__(self, width, heads, pre_norm):
        super().__init__()
        eps = 1e-5 if pre_norm else 1e-12
        self.pre_norm = pre_norm
        self.attention = Attention(width, heads, causal=pre_norm)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh" if pre_norm else "none"),
                                 nn.Linear(4 * width, width))
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)

    def forward(self, x):
        if self.pre_norm:
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.mlp(x))


def small_weights(module):
    """As published. PyTorch's own start for embeddings (deviation 1) ends in slow denormals."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, std=0.02)


class Bert(nn.Module):
    """Devlin et al. 2018, arXiv 1810.04805: base, masked-language head tied to the embedding. Words
    of all positions are scored."""

    def __init__(self, layers=12, width=768, heads=12):
        super().__init__()
        vocab = VOCAB["bert-base"]
        self.word, self.position = nn.Embedding(vocab, width), nn.Embedding(512, width)
        self.segment, self.norm = nn.Embedding(2, width), nn.LayerNorm(width, 1e-12)
        self.layers = nn.Sequential(*[TransformerLayer(width, heads, pre_norm=False) for _ in range(layers)])
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width, 1e-12))
        self.bias = nn.Parameter(torch.zeros(vocab))
        small_weights(self)

    def forward(self, words, segments):
        positions = torch.arange(words.shape[1]).expand_as(words)
        x = self.norm(self.word(words) + self.position(positions) + self.segment(segments))
        return F.linear(self.head(self.layers(x)), self.word.weight, self.bias)


class Gpt(nn.Module):
    """Radford et al. 2019, GPT-2 small; the head is tied to the embedding."""

    def __init__(self, layers=12, width=768, heads=12):
        super().__init__()
        self.word, self.position = nn.Embedding(VOCAB["gpt2"], width), nn.Embedding(1024, width)
        self.layers = nn.Sequential(*[TransformerLayer(width, heads, pre_norm=True) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        small_weights(self)

    def forward(self, words):
        positions = torch.arange(words.shape[1]).expand_as(words)
        x = self.layers(self.word(words) + self.position(positions))
        return F.linear(self.norm(x), self.word.weight)


# --- recurrent, recommendation --------------------------------------------------------------------
class Rnnlm(nn.Module):
    def __init__(self, width=2048):
        super().__init__()
        self.word, self.rnn = nn.Embedding(VOCAB["rnnlm"], width), nn.LSTM(width, width, 2, batch_first=True)
        # nn.LSTM adds two biases; one is a network's parameter.
        for name, parameter in self.rnn.named_parameters():
            if name.startswith("bias_hh"):
                parameter.requires_grad_(False).zero_()
        self.head = nn.Linear(width, VOCAB["rnnlm"])

    def forward(self, words):
        return self.head(self.rnn(self.word(words))[0])


class Dlrm(nn.Module):
    """Naumov et al. 2019, arXiv 1906.00091."""

    def __init__(self, tables=26, rows=100000, features=64):
        super().__init__()
        self.tables = nn.ModuleList(nn.EmbeddingBag(rows, features, mode="sum", sparse=True) for _ in range(tables))
        for each in self.tables:
            nn.init.uniform_(each.weight, -0.05, 0.05)
        self.bottom = nn.Sequential(nn.Linear(13, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(),
                                    nn.Linear(256, features), nn.ReLU())
        count = tables + 1
        self.top = nn.Sequential(nn.Linear(features + count * (count - 1) // 2, 512), nn.ReLU(),
                                 nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 1))
        self.register_buffer("pairs", torch.tril_indices(count, count, -1))

    def forward(self, dense, *sparse):
        x = self.bottom(dense)
        vectors = torch.stack([x] + [table(ids).to(x.dtype) for table, ids in zip(self.tables, sparse)], 1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))
        return self.top(torch.cat([x, products[:, self.pairs[0], self.pairs[1]]], 1))


# --- inputs and the step --------------------------------------------------------------------------
def images(batch, channels, side, classes):
    x = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last)
    return (x,), torch.randint(classes, (batch,))


def words(model, batch, length):
    return torch.randint(VOCAB[model], (batch, length))


def dlrm_batch(batch):
    sparse = [torch.randint(100000, (batch, 1)) for _ in range(26)]
    return (torch.randn(batch, 13), *sparse), torch.randint(2, (batch, 1)).float()


def token_loss(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


# By name: the module, a batch of inputs and labels, the loss.
MODELS = {
    "mlp": (mlp, lambda: images(256, 1, 28, 10), F.cross_entropy),
    "fashion-cnn": (fashion_cnn, lambda: images(128, 1, 28, 10), F.cross_entropy),
    "alexnet": (alexnet, lambda: images(64, 3, 224, 1000), F.cross_entropy),
    "resnet-50": (resnet_50, lambda: images(16, 3, 224, 1000), F.cross_entropy),
    "inception-v3": (inception_v3, lambda: images(8, 3, 299, 1000), F.cross_entropy),
    "bert-base": (Bert, lambda: ((words("bert-base", 8, 128), torch.randint(2, (8, 128))),
                                 words("bert-base", 8, 128)), token_loss),
    "gpt2": (Gpt, lambda: ((words("gpt2", 4, 256),), words("gpt2", 4, 256)), token_loss),
    "rnnlm": (Rnnlm, lambda: ((words("rnnlm", 64, 40),), words("rnnlm", 64, 40)), token_loss),
    "dlrm": (Dlrm, lambda: dlrm_batch(2048), F.binary_cross_entropy_with_logits),
}


def optimizers(model):
    """SGD with momentum; the rows of sparse tables get plain SGD, as DLRM's authors train them."""
    tables = [p for m in model.modules() if isinstance(m, nn.EmbeddingBag) for p in m.parameters()]
    sparse = {id(p) for p in tables}
    dense = [p for p in model.parameters() if p.requires_grad and id(p) not in sparse]
    made = [torch.optim.SGD(dense, lr=0.01, momentum=0.9, fused=True)]
    return made + ([torch.optim.SGD(tables, lr=0.01)] if tables else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)

    build, make_batch, loss_of = MODELS[arguments.model]
    model = build().to(memory_format=torch.channels_last)
    # Several batches, so that the rows of the tables are not all in a cache.
    batches = [make_batch() for _ in range(16 if arguments.model == "dlrm" else 1)]
    each = optimizers(model)

    def forward(inputs, labels):
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "bf16"):
            outputs = model(*inputs)
        return loss_of(outputs.float(), labels)

    if arguments.mode == "compile":
        forward = torch.compile(forward)

    def step(k):
        for optimizer in each:
            optimizer.zero_grad(set_to_none=True)
        forward(*batches[k % len(batches)]).backward()
        for optimizer in each:
            optimizer.step()

    for k in range(3):
        step(k)
    times, end = [], time.perf_counter() + arguments.seconds
    while time.perf_counter() < end or len(times) < 8:
        start = time.perf_counter()
        step(len(times))
        times.append(time.perf_counter() - start)
    times.sort()
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                      "steps": len(times), "least_ns": round(1e9 * times[0]),
                      "median_ns": round(1e9 * times[len(times) // 2]), "version": torch.__version__}))


if __name__ == "__main__":
    main()
