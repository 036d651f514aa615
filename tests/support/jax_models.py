"""Models of JAX and Flax for tests, as factories of a project make them."""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

Struct = jax.ShapeDtypeStruct
ROW = Struct((1, 4), jnp.float32)


def mlp() -> Any:
    keys = jax.random.split(jax.random.key(0), 2)
    params = {"w": jax.random.normal(keys[0], (8, 16)), "b": jnp.ones(16), "v": jax.random.normal(keys[1], (16, 3))}

    def apply(params: Any, rows: jax.Array) -> jax.Array:
        return jax.nn.softmax(jnp.tanh(rows @ params["w"] + params["b"]) @ params["v"])

    return apply, params, Struct((1, 8), jnp.float32)


class Cnn(nnx.Module):
    """Convolutions, one of them depthwise, batch norm, pools and dropout."""

    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.norm.mean.value = jnp.linspace(-0.5, 0.5, 8)
        self.second = nnx.Conv(8, 8, (3, 3), strides=2, feature_group_count=8, rngs=rngs)
        self.head = nnx.Linear(8 * 3 * 3, 10, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        x = nnx.max_pool(nnx.relu(self.norm(self.first(image))), (2, 2), strides=(2, 2))
        x = nnx.avg_pool(nnx.gelu(self.second(x)), (2, 2), strides=(1, 1), padding="SAME")
        x = self.drop(x.reshape(x.shape[0], -1))
        return {"scores": self.head(x), "mean": x.mean(1, keepdims=True)}


def cnn() -> Any:
    return Cnn(nnx.Rngs(0)), Struct((1, 12, 12, 1), jnp.float32)


class Block(linen.Module):
    """What a transformer is made of."""

    @linen.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        y = linen.LayerNorm()(tokens)
        x = tokens + linen.MultiHeadDotProductAttention(num_heads=2)(y, y)
        y = linen.gelu(linen.Dense(32)(linen.LayerNorm()(x)), approximate=False)
        return (x + linen.Dense(16)(y)).mean(1)


def attention() -> Any:
    module = Block()
    return module, module.init(jax.random.key(1), jnp.ones((1, 6, 16))), Struct((1, 6, 16), jnp.float32)


def recurrent() -> Any:
    wx, wh = jax.random.normal(jax.random.key(0), (2, 4, 4)) * 0.4

    def apply(steps: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(state: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
            state = jnp.tanh(row @ wx + state @ wh)
            return state, state

        last, states = lax.scan(step, jnp.zeros((steps.shape[0], 4)), jnp.swapaxes(steps, 0, 1), reverse=True)
        return last, jnp.swapaxes(states, 0, 1)

    return apply


def embedding() -> Any:
    table = jax.random.normal(jax.random.key(2), (50, 8))

    def apply(ids: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.take(table, ids, axis=0).sum(1), jnp.argmax(table[ids], -1)

    return apply, Struct((1, 5), jnp.int32)


def enlarging() -> Any:
    kernel = jax.random.normal(jax.random.key(0), (3, 3, 2, 4))

    def apply(image: jax.Array) -> tuple[jax.Array, ...]:
        same, valid = (lax.conv_transpose(image, kernel, (2, 2), padding) for padding in ("SAME", "VALID"))
        return same, valid, jax.image.resize(image, (1, 8, 8, 2), "bilinear")

    return apply, Struct((1, 4, 4, 2), jnp.float32)


def branching() -> Any:
    return lambda x: lax.cond(x.sum() > 0, lambda v: v * 2, lambda v: v - 1, x), ROW


def looping() -> Any:
    return lambda x: lax.fori_loop(0, 5, lambda i, v: v * 1.1 + i, x), ROW


def many() -> Any:
    """One of each of many primitives."""

    def apply(x: jax.Array) -> dict[str, jax.Array]:
        best, places = lax.top_k(x, 2)
        return {
            "argmax": jax.nn.one_hot(jnp.argmax(x, 1), 4),
            "best": best,
            "clip": jnp.clip(x, -0.5, 0.5),
            "concatenate": jnp.concatenate([x, x], 1),
            "cumsum": jnp.cumsum(x, 1),
            "einsum": jnp.einsum("bi,bj->bij", x, x),
            "floor": x // 0.3,
            "log_softmax": jax.nn.log_softmax(x),
            "norm": jnp.linalg.norm(x, axis=1, keepdims=True),
            "pad": jnp.pad(x, ((0, 0), (1, 2))),
            "places": places,
            "power": x**3,
            "product": jnp.prod(x, 1, keepdims=True),
            "reverse": x[:, ::-1],
            "round": jnp.round(x * 3) / 3,
            "slice": x[:, 1:3],
            "sort": jnp.sort(x, 1),
            "stack": jnp.stack([x, 1 - x, 2 / (x + 9)], 1),
            "tile": jnp.tile(x, (1, 2)),
            "variance": jnp.var(x, 1, keepdims=True),
            "where": jnp.where(x > 0, x, jnp.exp(x)),
        }

    return apply, ROW


# What is refused.


def drawing() -> Any:
    return lambda x: x * jax.random.bernoulli(jax.random.key(0), 0.5, x.shape), ROW


def endless() -> Any:
    return lambda x: lax.while_loop(lambda v: v.sum() < 100, lambda v: v * 2, x), ROW


def printing() -> Any:
    def apply(x: jax.Array) -> jax.Array:
        jax.debug.print("x is {x}", x=x)
        return x * 2

    return apply, ROW


def long() -> Any:
    return lambda x: lax.scan(lambda c, _: (jnp.sin(c) * 2 + 1, None), x, None, length=50_000)[0], ROW


def concrete() -> Any:
    return lambda x: x * 2 if x.sum() > 0 else x, ROW


def batched() -> Any:
    return lambda x: x * 2, Struct((8, 4), jnp.float32)


def reducing() -> Any:
    return lambda x: x.sum(), ROW


def halved() -> Any:
    return lambda x: x.astype(jnp.bfloat16), ROW


class Halved(linen.Module):
    """As Flax computes on accelerators: weights in float32, the rest in bfloat16."""

    @linen.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        x = linen.relu(linen.Conv(8, (3, 3), dtype=jnp.bfloat16)(image.astype(jnp.bfloat16)))
        x = linen.LayerNorm(dtype=jnp.bfloat16)(x).reshape(1, -1)
        return linen.Dense(5, dtype=jnp.bfloat16)(x).astype(jnp.float32)


def inner_halves() -> Any:
    image = Struct((1, 6, 6, 2), jnp.float32)
    return Halved(), Halved().init(jax.random.key(0), jnp.ones(image.shape)), image


def half_weights() -> Any:
    weights = jax.random.normal(jax.random.key(1), (4, 3)).astype(jnp.float16)
    total = jnp.zeros((1, 3), jnp.float16)

    def apply(params: Any, x: jax.Array) -> jax.Array:
        step = lambda total, scale: (total + x.astype(jnp.float16) @ params * scale, None)  # noqa: E731
        return lax.scan(step, total, jnp.arange(3, dtype=jnp.float16))[0].astype(jnp.float32)

    return apply, weights, ROW


def bounds() -> Any:
    def apply(_: Any, x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
        return {
            "below": jnp.clip(x, y, 0.5),
            "above": jnp.clip(x, -0.5, y),
            "both": lax.clamp(jnp.minimum(x, y), x * 2, jnp.maximum(x, y)),
            "of a number": lax.clamp(y, jnp.full_like(x, 0.1), x),
            "kept": lax.reduce_precision(x, 8, 23),
        }

    return apply, {}, (ROW, ROW)


def whole_windows() -> Any:
    def apply(x: jax.Array) -> jax.Array:
        return lax.reduce_window(x, jnp.iinfo(jnp.int32).min, lax.max, (1, 3), (1, 1), ((0, 0), (2, 0)))

    return apply, Struct((1, 6), jnp.int32)


def rounded() -> Any:
    return lambda x: lax.reduce_precision(x, 5, 10), ROW


def nothing() -> Any:
    return 3


def bare() -> Any:
    return Block()


def ranking() -> Any:
    return lambda x: jnp.argsort(x, 1), ROW


def spectral() -> Any:
    return lambda x: jnp.abs(jnp.fft.rfft(x)), ROW
