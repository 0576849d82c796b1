"""The zoo's models in PyTorch: what tests/pytorch/parity.py holds Soapstone against.

Written from the papers and PyTorch's and torchvision's own layers, not from core/models. A twin takes
the hyper-parameters `p`, the sources `s` and the weights `w`, tensors by Soapstone's names, and
returns the loss. It may reshape a weight; states (running averages) it updates in place.
"""

import math

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.utils.stateless import functional_call


def linear(w, name, x):
    """y = x Wᵀ + b; where a weight has several dimensions in or out, they are one here."""
    weight = w[name + ".weight"]
    return F.linear(x, weight.reshape(-1, x.shape[-1]), w[name + ".bias"].flatten() if name + ".bias" in w else None)


def perceptron(w, names, x, last=None):
    for name in names:
        x = F.relu(linear(w, name, x))
    return linear(w, last, x) if last else x


def token_loss(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


# --- images ---------------------------------------------------------------------------------------
def mlp(p, s, w):
    return F.cross_entropy(perceptron(w, ["fc1", "fc2"], s["images"].flatten(1), "fc3"), s["labels"])


def fashion_cnn(p, s, w):
    x = s["images"]
    for name in ("conv1", "conv2"):
        x = F.max_pool2d(F.relu(F.conv2d(x, w[name + ".weight"], w[name + ".bias"], padding=1)), 2)
    return F.cross_entropy(perceptron(w, ["fc1"], x.flatten(1), "fc2"), s["labels"])


def inception_block(p, s, w):
    """Paddings are uneven: (top, bottom, left, right) becomes F.pad's (left, right, top, bottom)."""
    def conv_bn(name, x, **how):
        x = F.conv2d(x, w[name + ".weight"], **how)
        name += "_bn"
        return F.relu(F.batch_norm(x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".gamma"],
                                   w[name + ".beta"], training=True))

    x = conv_bn("stem", F.pad(s["images"], (1, 0, 0, 1)), stride=(2, 1))
    a = conv_bn("a1x1", x)
    b = conv_bn("b3x3", conv_bn("b1x1", x), padding=1, groups=3)
    c = conv_bn("c1x1", F.avg_pool2d(x, 3, 1, 1))
    d = F.relu(F.conv2d(x, w["d_conv.weight"], w["d_conv.bias"], padding=2, dilation=2))
    x = F.pad(torch.cat([a, b, c, d], 1), (0, 1, 1, 0), value=-math.inf)
    x = F.max_pool2d(x, (3, 2), 2)
    return F.cross_entropy(linear(w, "fc", x.flatten(1)), s["labels"])


def images_through(model, s, w):
    """A model of torchvision: its layers have their parameters in the order in which Soapstone's
    operators have theirs."""
    slots = [(f"{path}.{name}", getattr(layer, name)) for path, layer in model.named_modules()
             for name in ("weight", "bias", "running_mean", "running_var") if getattr(layer, name, None) is not None]
    if len(slots) != len(w):
        raise ValueError(f"torchvision's {type(model).__name__} has {len(slots)} weights and states, Soapstone's {len(w)}")
    given = {}
    for (path, slot), (name, value) in zip(slots, w.items()):
        if slot.numel() != value.numel():
            raise ValueError(f"{path} is {tuple(slot.shape)}, {name} is {tuple(value.shape)}")
        given[path] = value.view(slot.shape)
    return F.cross_entropy(functional_call(model.train(), given, (s["images"],)), s["labels"])


def alexnet(p, s, w):
    return images_through(torchvision.models.AlexNet(dropout=0), s, w)


def vgg(p, s, w):
    """torchvision always brings images to 7×7; Soapstone's classifier takes what five poolings leave."""
    from torchvision.models.vgg import VGG, cfgs, make_layers
    model = VGG(make_layers(cfgs["D"]), int(p["classes"]), init_weights=False, dropout=0)
    model.avgpool = nn.Identity()
    model.classifier[0] = nn.Linear(512 * (int(p["image"]) // 32) ** 2, 4096)
    return images_through(model, s, w)


def resnet(p, s, w):
    """Of 64 channels; torchvision knows no others."""
    from torchvision.models.resnet import Bottleneck, ResNet
    model = ResNet(Bottleneck, [int(p[f"blocks{k}"]) for k in (1, 2, 3, 4)], int(p["classes"]),
                   groups=int(p["groups"]), width_per_group=int(p["group_width"]))
    return images_through(model, s, w)


def inception_v3(p, s, w):
    model = torchvision.models.Inception3(int(p["classes"]), aux_logits=False, init_weights=False, dropout=0)
    return images_through(model, s, w)


# --- transformers ---------------------------------------------------------------------------------
def hidden_by_future(length):
    return nn.Transformer.generate_square_subsequent_mask(length)


def transformer_layer(w, prefix, x, heads, mask=None, **how):
    """nn.TransformerEncoderLayer with these weights."""
    split = prefix + "qkv.weight" not in w
    packed = {kind: torch.cat([w[f"{prefix}{part}.{kind}"].flatten(0, 1) for part in ("q", "k", "v")]) if split
              else w[f"{prefix}qkv.{kind}"].flatten(0, 2) for kind in ("weight", "bias")}
    width, ffn = x.shape[-1], w[prefix + "up.bias"].numel()
    given = {"self_attn.in_proj_weight": packed["weight"], "self_attn.in_proj_bias": packed["bias"],
             "self_attn.out_proj.weight": w[prefix + "out.weight"].flatten(1),
             "self_attn.out_proj.bias": w[prefix + "out.bias"]}
    for theirs, ours in (("linear1", "up"), ("linear2", "down")):
        given.update({f"{theirs}.{kind}": w[f"{prefix}{ours}.{kind}"] for kind in ("weight", "bias")})
    for norm in ("norm1", "norm2"):
        given.update({norm + ".weight": w[f"{prefix}{norm}.gamma"], norm + ".bias": w[f"{prefix}{norm}.beta"]})
    layer = nn.TransformerEncoderLayer(width, heads, ffn, dropout=0, batch_first=True, **how)
    return functional_call(layer, given, (x, mask))


def layer_norm(w, name, x, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], w[name + ".gamma"], w[name + ".beta"], eps)


def decoder(s, w, layers, heads, activation):
    """Pre-norm, causal, learnt positions, head tied to the words' embedding."""
    x = F.embedding(s["tokens"], w["embed.table"]) + F.embedding(s["positions"], w["position.table"])
    mask = hidden_by_future(x.shape[1])
    for l in range(layers):
        x = transformer_layer(w, f"layer{l}_", x, heads, mask, norm_first=True, activation=activation)
    return token_loss(layer_norm(w, "final_norm", x) @ w["embed.table"].T, s["labels"])


def transformer_block(p, s, w):
    return decoder(s, w, layers=2, heads=4, activation="gelu")


def gpt(p, s, w):
    """Radford et al. 2019; gelu is its approximation by tanh."""
    return decoder(s, w, int(p["layers"]), int(p["heads"]), lambda x: F.gelu(x, approximate="tanh"))


def bert(p, s, w):
    """Devlin et al. 2018, arXiv 1810.04805; Hugging Face's BertForMaskedLM."""
    x = sum(F.embedding(s[ids], w[table + ".table"])
            for ids, table in (("tokens", "embed"), ("positions", "position"), ("segments", "segment")))
    x = layer_norm(w, "embed_norm", x, 1e-12)
    for l in range(int(p["layers"])):
        x = transformer_layer(w, f"layer{l}_", x, int(p["heads"]), activation="gelu", layer_norm_eps=1e-12)
    x = layer_norm(w, "head_norm", F.gelu(linear(w, "head_transform", x)), 1e-12)
    return token_loss(F.linear(x, w["embed.table"], w["head.bias"]), s["labels"])


def rms_norm(w, name, x, eps):
    return w[name + ".gamma"] * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def causal_attention(q, k, v, window=0):
    """All [n, heads, s, d], v of a d of its own; the window of Jiang et al. 2023, arXiv 2310.06825."""
    length = q.shape[2]
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    if window > 0:
        seen &= torch.ones(length, length, dtype=torch.bool).triu(1 - window)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return (scores.masked_fill(~seen, -math.inf).softmax(-1) @ v).transpose(1, 2).flatten(2)


def angles(length, d, theta):
    return torch.outer(torch.arange(length, dtype=torch.float64), 1 / theta ** (torch.arange(0, d, 2) / d))


def rotated_halves(x, theta):
    """x [n, heads, s, d]; as Hugging Face's apply_rotary_pos_emb with rotate_half."""
    d = x.shape[-1]
    angle = angles(x.shape[2], d, theta).repeat(1, 2)
    half = torch.cat([-x[..., d // 2:], x[..., :d // 2]], -1)
    return x * angle.cos() + half * angle.sin()


def rotated_pairs(x, theta):
    """x [n, heads, s, d]; neighbours are one complex number, as in Meta's and DeepSeek's code."""
    angle = angles(x.shape[2], x.shape[-1], theta)
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(turned).flatten(-2)


def heads_of(w, name, x, heads):
    """[n, heads, s, d]."""
    return linear(w, name, x).unflatten(-1, (heads, -1)).transpose(1, 2)


def grouped_attention(p, w, prefix, x):
    """Ainslie et al. 2023, arXiv 2305.13245."""
    heads, kv_heads = int(p["heads"]), int(p["kv_heads"])
    q = rotated_halves(heads_of(w, prefix + "q", x, heads), p["rope_theta"])
    k = rotated_halves(heads_of(w, prefix + "k", x, kv_heads), p["rope_theta"])
    k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, heads_of(w, prefix + "v", x, kv_heads)))
    return linear(w, prefix + "out", causal_attention(q, k, v, int(p["window"])))


def gated(w, prefix, x):
    """Shazeer 2020, arXiv 2002.05202."""
    return linear(w, prefix + "down", F.silu(linear(w, prefix + "gate", x)) * linear(w, prefix + "up", x))


def mixture(p, w, prefix, x, renormalize=True):
    """Jiang et al. 2024, arXiv 2401.04088; Hugging Face's MixtralSparseMoeBlock."""
    tokens = x.flatten(0, 1)
    share, expert_of = torch.topk(linear(w, prefix + "router", tokens).softmax(-1), int(p["experts_per_token"]))
    if renormalize:
        share = share / share.sum(-1, keepdim=True)
    y = torch.zeros_like(tokens)
    for e in range(int(p["experts"])):
        token, rank = (expert_of == e).nonzero(as_tuple=True)
        gate, up, down = (w[f"{prefix}{name}.weight"][e] for name in ("gate", "up", "down"))
        inner = F.silu(tokens[token] @ gate.T) * (tokens[token] @ up.T)
        y = y.index_add(0, token, (inner @ down.T) * share[token, rank, None])
    return y.view_as(x)


def llama(p, s, w):
    """Touvron et al. 2023, arXiv 2307.09288; Hugging Face's LlamaForCausalLM and MixtralForCausalLM."""
    eps = p["norm_epsilon"]
    x = F.embedding(s["tokens"], w["embed.table"])
    for l in range(int(p["layers"])):
        prefix = f"layer{l}_"
        x = x + grouped_attention(p, w, prefix, rms_norm(w, prefix + "norm1", x, eps))
        t = rms_norm(w, prefix + "norm2", x, eps)
        x = x + (mixture(p, w, prefix, t) if p["experts"] > 1 else gated(w, prefix, t))
    x = rms_norm(w, "final_norm", x, eps)
    return token_loss(x @ w["embed.table" if p["tied"] else "head.weight"].T, s["labels"])


def latent_attention(p, w, prefix, x):
    """DeepSeek-AI 2024, arXiv 2405.04434, equations 9 to 19; without a latent query where q_rank is 0."""
    heads, nope, value, eps = int(p["heads"]), int(p["nope_dim"]), int(p["value_dim"]), p["norm_epsilon"]
    c_q = rms_norm(w, prefix + "q_norm", linear(w, prefix + "q_down", x), eps) if p["q_rank"] > 0 else x
    c_kv = rms_norm(w, prefix + "kv_norm", linear(w, prefix + "kv_down", x), eps)
    q_c, q_r = heads_of(w, prefix + "q", c_q, heads).tensor_split([nope], -1)
    k_c, v = heads_of(w, prefix + "kv", c_kv, heads).split([nope, value], -1)
    k_r = rotated_pairs(heads_of(w, prefix + "k_shared", x, 1), p["rope_theta"])
    q = torch.cat([q_c, rotated_pairs(q_r, p["rope_theta"])], -1)
    k = torch.cat([k_c, k_r.expand(-1, heads, -1, -1)], -1)
    return linear(w, prefix + "out", causal_attention(q, k, v))


def deepseek(p, s, w):
    """arXiv 2405.04434 and 2412.19437, as far as the zoo follows them: softmax routing without groups."""
    eps = p["norm_epsilon"]
    x = F.embedding(s["tokens"], w["embed.table"])
    for l in range(int(p["layers"])):
        prefix = f"layer{l}_"
        x = x + latent_attention(p, w, prefix, rms_norm(w, prefix + "norm1", x, eps))
        t = rms_norm(w, prefix + "norm2", x, eps)
        if l < p["dense_layers"]:
            x = x + gated(w, prefix, t)
        else:
            x = x + mixture(p, w, prefix, t, p["renormalize"] > 0) + gated(w, prefix + "shared_", t)
    return token_loss(rms_norm(w, "final_norm", x, eps) @ w["head.weight"].T, s["labels"])


# --- recurrent networks ---------------------------------------------------------------------------
def lstm(p, w, name, x, states=None):
    """nn.LSTM over the whole sequence; its second bias is zero."""
    layers, hidden = int(p["layers"]), int(p["hidden"])
    module = nn.LSTM(x.shape[-1], hidden, layers, batch_first=True)

    def give(parameter, leaf):
        """nn.LSTM computes with parameters of its own only: their gradients go on to the leaves."""
        def hand_on(gradient):
            leaf.grad = gradient.view(leaf.shape) + (0 if leaf.grad is None else leaf.grad)
        with torch.no_grad():
            parameter.copy_(leaf.reshape(parameter.shape))
        parameter.register_hook(hand_on)

    for l in range(layers):
        ours = f"{name}{l}_0."
        give(getattr(module, f"weight_ih_l{l}"), w[ours + "w_ih"])
        give(getattr(module, f"weight_hh_l{l}"), w[ours + "w_hh"])
        give(getattr(module, f"bias_ih_l{l}"), w[ours + "bias"])
        nn.init.zeros_(getattr(module, f"bias_hh_l{l}"))
    return module(x, states)


def rnnlm(p, s, w):
    y, _ = lstm(p, w, "lstm", F.embedding(s["tokens"], w["embed.table"]))
    return token_loss(linear(w, "head", y), s["labels"])


def rnntc(p, s, w):
    _, (h, _) = lstm(p, w, "lstm", F.embedding(s["tokens"], w["embed.table"]))
    return F.cross_entropy(linear(w, "head", h[-1]), s["labels"])


def nmt(p, s, w):
    """Luong et al. 2015, arXiv 1508.04025: h~ = tanh(W (context, h)); the context comes from
    nn.MultiheadAttention with one head."""
    memory, states = lstm(p, w, "encoder", F.embedding(s["tokens"], w["source_embed.table"]))
    h, _ = lstm(p, w, "decoder", F.embedding(s["target_tokens"], w["target_embed.table"]), states)
    width = int(p["hidden"])
    given = {"in_proj_weight": torch.cat([w[name + ".weight"].view(width, width) for name in ("query", "key", "value")]),
             "out_proj.weight": w["context.weight"].view(width, width)}
    attention = nn.MultiheadAttention(width, 1, bias=False, batch_first=True)
    context, _ = functional_call(attention, given, (h, memory, memory))
    attended = torch.tanh(linear(w, "attended", torch.cat([context, h], -1)))
    return token_loss(linear(w, "head", attended), s["labels"])


# --- tables ---------------------------------------------------------------------------------------
def rows_of_tables(p, s, w):
    return [F.embedding_bag(s[f"sparse{k}"], w[f"table{k}.table"], mode="sum") for k in range(int(p["tables"]))]


def dlrm(p, s, w):
    """Naumov et al. 2019, arXiv 1906.00091; interact_features of its authors' dlrm_s_pytorch.py."""
    x = perceptron(w, ["bottom1", "bottom2", "bottom3"], s["dense"])
    vectors = torch.stack([x] + rows_of_tables(p, s, w), 1)
    products = torch.bmm(vectors, vectors.transpose(1, 2))
    i, j = torch.tril_indices(vectors.shape[1], vectors.shape[1], -1)
    logits = perceptron(w, ["top1", "top2"], torch.cat([x, products[:, i, j]], 1), "top3")
    return F.binary_cross_entropy_with_logits(logits, s["labels"])


def xdl(p, s, w):
    logits = perceptron(w, ["top1", "top2", "top3"], torch.cat(rows_of_tables(p, s, w), 1), "top4")
    return F.binary_cross_entropy_with_logits(logits, s["labels"])


def candle_uno(p, s, w):
    towers = [s["dose1"], s["dose2"]]
    for name in ("cell_rnaseq", "drug1_descriptors", "drug1_fingerprints", "drug2_descriptors", "drug2_fingerprints"):
        towers.append(perceptron(w, [f"{name}_fc{l}" for l in range(int(p["feature_layers"]))], s[name]))
    growth = perceptron(w, [f"fc{l}" for l in range(int(p["layers"]))], torch.cat(towers, 1), "growth")
    return F.mse_loss(growth, s["labels"])


# --- models by name: twin, batch, and the hyper-parameters that make it small ----------------------
SMALL_GPT = {"layers": 2, "hidden": 24, "heads": 3, "seq": 7, "vocab": 31, "positions": 9}
SMALL_LLAMA = {"layers": 2, "hidden": 24, "heads": 6, "kv_heads": 2, "ffn": 20, "seq": 7, "vocab": 31}
SMALL_DEEPSEEK = {"layers": 3, "hidden": 24, "heads": 3, "q_rank": 7, "kv_rank": 10, "nope_dim": 6, "rope_dim": 4,
                  "value_dim": 5, "ffn": 20, "dense_layers": 1, "expert_ffn": 9, "experts": 5, "shared_experts": 2,
                  "experts_per_token": 2, "seq": 7, "vocab": 31}
SMALL_RESNET = {"image": 48, "classes": 10, "blocks1": 2, "blocks2": 1, "blocks3": 2, "blocks4": 1}
SMALL_RNN = {"layers": 3, "hidden": 12, "embedding": 10, "seq": 7, "chunk": 3, "vocab": 29}
SMALL_TABLES = {"rows": 40, "features": 8, "bag": 3}

MODELS = {
    "mlp": (mlp, 8, {}),
    "fashion-cnn": (fashion_cnn, 4, {}),
    "inception-block": (inception_block, 6, {}),
    "alexnet": (alexnet, 2, {}),
    "vgg-16": (vgg, 2, {"image": 32, "classes": 10}),
    "resnet-50": (resnet, 4, SMALL_RESNET),
    "resnet-101": (resnet, 4, {**SMALL_RESNET, "blocks3": 3}),
    "resnext-50": (resnet, 4, SMALL_RESNET),
    "inception-v3": (inception_v3, 3, {"image": 107, "classes": 10}),
    "transformer-block": (transformer_block, 4, {}),
    "gpt": (gpt, 3, {**SMALL_GPT, "ffn": 20}),
    **{name: (gpt, 3, SMALL_GPT) for name in (
        "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "gpt3-1.3b", "gpt3-6.7b", "gpt3-13b", "gpt3-175b")},
    "bert-base": (bert, 3, SMALL_GPT),
    "bert-large": (bert, 3, {**SMALL_GPT, "heads": 4, "ffn": 20}),
    # Each with another of the options that the family has.
    "llama2-7b": (llama, 3, {**SMALL_LLAMA, "kv_heads": 6}),
    "llama2-13b": (llama, 3, {**SMALL_LLAMA, "head_dim": 6}),
    "llama2-70b": (llama, 3, SMALL_LLAMA),
    "llama3-8b": (llama, 3, {**SMALL_LLAMA, "window": 3}),
    "llama3-70b": (llama, 3, {**SMALL_LLAMA, "tied": 1, "qkv_bias": 1}),
    "mixtral-8x7b": (llama, 3, {**SMALL_LLAMA, "experts": 5}),
    "deepseek-v2-lite": (deepseek, 3, {**SMALL_DEEPSEEK, "q_rank": 0, "value_dim": 10}),
    "deepseek-v2": (deepseek, 3, SMALL_DEEPSEEK),
    "deepseek-v3": (deepseek, 3, {**SMALL_DEEPSEEK, "shared_experts": 1}),
    "rnntc": (rnntc, 4, {**SMALL_RNN, "classes": 3}),
    "rnnlm": (rnnlm, 4, SMALL_RNN),
    "nmt": (nmt, 4, SMALL_RNN),
    "dlrm": (dlrm, 6, {**SMALL_TABLES, "tables": 4}),
    "xdl": (xdl, 6, SMALL_TABLES),
    "candle-uno": (candle_uno, 5, {"hidden": 16, "feature_layers": 2, "layers": 2}),
}
