"""Writes numpy_cases.txt: what NumPy says of promotion, signs, zeros, wrapping, axes, slices and the like.

    pip install numpy==2.4.6
    python3 tests/data/numpy_cases.py

A line is one of

    # a comment
    array NAME DTYPE SHAPE VALUES          an operand
    case OP ARGUMENTS : NAMES = DTYPE SHAPE VALUES      the result, exactly (all NaNs alike)
    case OP ARGUMENTS : NAMES ~K DTYPE SHAPE VALUES     the result within K roundings, see below
    case OP ARGUMENTS : NAMES 0= DTYPE SHAPE VALUES     exactly but for the sign of zeros

SHAPE is sizes joined by `x`, or `-` for rank 0; a list of arguments is joined by commas. Numbers are the shortest
decimals that read back to the same value.

`~K` is for results whose roundings the definition leaves open: sums of floats in another order, functions that a
library rounds in its own way. All summands there are positive, so that each of at most K roundings on either side
moves the result by at most half a unit in the last place of its own size: |ours - NumPy's| <= K * epsilon * |NumPy's|.

Where we mean something else than NumPy on purpose, the case is written in NumPy's words for what we mean: a negative
step takes ndarray's range backwards (`x[a:b][::-k]`); NumPy's int16 (of i8 with u8), which we lack, is int32; matrix
products of bools count in i64, as sums do. Signs of zeros are left open (`0=`) where NumPy leaves them to the order of
its operands (maximum and its like), and for `sign`, of which ours keeps the sign of zero.
"""

import pathlib

import numpy as np

SEED = 20240229
DTYPES = {"bool": bool, "i8": np.int8, "u8": np.uint8, "i32": np.int32, "u32": np.uint32, "i64": np.int64,
          "u64": np.uint64, "f32": np.float32, "f64": np.float64}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
INTEGERS = ["i8", "u8", "i32", "u32", "i64", "u64"]
FLOATS = ["f32", "f64"]

random = np.random.default_rng(SEED)
lines = ["# Written by numpy_cases.py with NumPy " + np.__version__ + "; do not edit."]
arrays = {}


def spell(array):
    array = np.asarray(array)
    if array.dtype == np.int16:
        array = array.astype(np.int32)
    shape = "x".join(str(size) for size in array.shape) or "-"
    flat = array.reshape(-1)
    if array.dtype == bool:
        values = [str(int(value)) for value in flat]
    elif array.dtype.kind == "f":
        values = [np.format_float_scientific(value, trim="-", exp_digits=1) if np.isfinite(value) else str(value)
                  for value in flat]
        values = [min(value, short(number), key=len) for value, number in zip(values, flat)]
    else:
        values = [str(int(value)) for value in flat]
    return " ".join([NAMES[array.dtype], shape, *values])


def short(number):
    return np.format_float_positional(number, trim="-") if 1e-6 < abs(number) < 1e9 or number == 0 else str(number)


def array(name, values):
    arrays[name] = np.asarray(values)
    lines.append(f"array {name} {spell(arrays[name])}")
    return arrays[name]


def case(op, names, result, relation="=", arguments=()):
    words = [op, *(",".join(str(part) for part in a) if isinstance(a, (list, tuple)) else str(a) for a in arguments)]
    lines.append(f"case {' '.join(words)} : {' '.join(names)} {relation} {spell(result)}")


def operands():
    """For each dtype two vectors of 14: limits, zeros of both signs, infinities, NaN, and ordinary values."""
    left_float = [0.0, -0.0, 1.5, -1.5, 7.25, -7.25, np.inf, -np.inf, np.nan, 5.0, -5.0, 0.1, 1e10, 3.0]
    right_float = [2.0, 2.0, -0.5, 0.5, 2.0, -2.0, 3.0, -0.0, 1.0, 0.0, np.inf, np.nan, -3.0, -np.inf]
    left_wide = [0, 1, 2, 3, 7, -7, 5, -5, 100, -1, -2, 13, 64, 17]
    right_wide = [1, 0, 2, -1, 2, 2, -3, -3, 7, -1, 5, 0, 3, 4]
    for name, dtype in DTYPES.items():
        if name == "bool":
            left, right = [0, 1] * 7, [0, 0, 1, 1] * 3 + [0, 1]
        elif name in FLOATS:
            left, right = left_float, right_float
        else:
            limits = np.iinfo(dtype)
            left = [limits.min, limits.max, limits.min, limits.max, *left_wide[4:]]
            right = [limits.max, limits.max, limits.min + 1, 2, *right_wide[4:]]
            if limits.min < 0:
                right[2] = -1
            else:
                left, right = [abs(value) for value in left], [abs(value) for value in right]
        array("l_" + name, np.array(left).astype(dtype) if name != "u64" else np.array(left, dtype=dtype))
        array("r_" + name, np.array(right).astype(dtype) if name != "u64" else np.array(right, dtype=dtype))


def pairs():
    for a in DTYPES:
        for b in DTYPES:
            x, y, names = arrays["l_" + a], arrays["r_" + b], ["l_" + a, "r_" + b]
            case("add", names, x + y)
            case("div", names, x / y)
            case("lt", names, x < y)
            case("eq", names, x == y)
            case("mul", names, x * y)
            case("maximum", names, np.maximum(x, y), "0=")
            if (a, b) != ("bool", "bool"):
                case("sub", names, x - y)
                # NumPy divides bools in int8 and we in int64.
                case("floor_div", names, x // y)
                case("rem", names, x % y)


def signed_with_unsigned():
    """Comparisons of i64 with u64 where f64, to which the two promote, no longer tells neighbors apart."""
    array("near_i64", np.array([2**63 - 1, 2**63 - 1, 2**53 + 1, 2**53 + 1, -1, -2**63, 2**62 + 1, 0], dtype=np.int64))
    array("near_u64", np.array([2**63, 2**63 - 1, 2**53, 2**53 + 1, 2**64 - 1, 2**63, 2**62, 0], dtype=np.uint64))
    for names in [["near_i64", "near_u64"], ["near_u64", "near_i64"]]:
        x, y = arrays[names[0]], arrays[names[1]]
        for op, function in [("lt", np.less), ("le", np.less_equal), ("gt", np.greater), ("ge", np.greater_equal),
                             ("eq", np.equal), ("ne", np.not_equal)]:
            case(op, names, function(x, y))


def same_dtype():
    for name in DTYPES:
        x, y, names = arrays["l_" + name], arrays["r_" + name], ["l_" + name, "r_" + name]
        for op, function in [("le", np.less_equal), ("gt", np.greater), ("ge", np.greater_equal), ("ne", np.not_equal)]:
            case(op, names, function(x, y))
        for op, function in [("minimum", np.minimum), ("fmax", np.fmax), ("fmin", np.fmin)]:
            case(op, names, function(x, y), "0=")
        if name not in FLOATS:
            for op, function in [("and", np.bitwise_and), ("or", np.bitwise_or), ("xor", np.bitwise_xor)]:
                case(op, names, function(x, y))
            case("not", names[:1], ~x)
        if name in INTEGERS:
            bits = x.dtype.itemsize * 8
            counts = np.array([0, 1, 2, 7, 8, 31, 32, 33, 63, 64, 65, bits - 1, bits, 3]).astype(x.dtype)
            if name.startswith("i"):
                counts[6] = -1
            array("count_" + name, counts)
            case("shl", [names[0], "count_" + name], x << counts)
            case("shr", [names[0], "count_" + name], x >> counts)
            exponents = array("exponent_" + name, np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 7, 9, 2, 30]).astype(x.dtype))
            case("pow", [names[0], "exponent_" + name], x ** exponents)
        if name != "bool":
            case("neg", names[:1], -x)
            case("abs", names[:1], np.abs(x))
            case("sign", names[:1], np.sign(x), "0=")
            case("square", names[:1], x * x)


def float_functions():
    halves = [0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, 0.0, -0.0, 1e300, np.inf, -np.inf, np.nan, 2.4999]
    for name in FLOATS:
        dtype = DTYPES[name]
        x = array("halves_" + name, np.array(halves).astype(dtype))
        one = ["halves_" + name]
        for op, function in [("round", np.rint), ("floor", np.floor), ("ceil", np.ceil), ("trunc", np.trunc),
                             ("is_nan", np.isnan), ("is_inf", np.isinf), ("is_finite", np.isfinite),
                             ("nan_to_num", np.nan_to_num), ("recip", np.reciprocal), ("sqrt", np.sqrt)]:
            case(op, one, function(x))
        # The factor of NumPy's f32 version is rounded twice.
        case("deg2rad", one, np.deg2rad(x), "~2")
        case("rad2deg", one, np.rad2deg(x), "~2")
        case("clamp", one, np.clip(x, dtype(-1), dtype(2)), "0=", [-1, 2])
        a, b, names = arrays["l_" + name], arrays["r_" + name], ["l_" + name, "r_" + name]
        case("copysign", names, np.copysign(a, b))
        case("hypot", names, np.hypot(a, b), "~2")
        case("atan2", names, np.arctan2(a, b), "~4")
        case("logaddexp", names, np.logaddexp(a, b), "~4")
        for op, function in [("exp", np.exp), ("exp2", np.exp2), ("expm1", np.expm1), ("ln", np.log), ("log2", np.log2),
                             ("log10", np.log10), ("log1p", np.log1p), ("tanh", np.tanh), ("cbrt", np.cbrt),
                             ("asinh", np.arcsinh), ("atan", np.arctan), ("cosh", np.cosh)]:
            case(op, ["l_" + name], function(a), "~4")
        for to in ["bool", "i8", "i32", "i64"]:
            inside = array(f"inside_{name}_{to}", np.array([0.0, -0.0, 1.9, -1.9, 100.5, -100.5]).astype(dtype))
            case("cast", [f"inside_{name}_{to}"], inside.astype(DTYPES[to]), "=", [to])
    for a in INTEGERS + ["bool"]:
        for b in ["bool", *INTEGERS, *FLOATS]:
            case("cast", ["l_" + a], arrays["l_" + a].astype(DTYPES[b]), "=", [b])


AXES = [("all", None), ("0", 0), ("1", 1), ("-1", -1), ("0,2", (0, 2)), ("1,2", (1, 2)), ("0,1,2", (0, 1, 2))]


def reductions():
    shape = (3, 4, 5)
    for name in DTYPES:
        dtype = DTYPES[name]
        if name == "bool":
            x = random.random(shape) < 0.8
        elif name in FLOATS:
            # Multiples of 1/4 below 16, so that no sum is rounded in any order.
            x = (random.integers(-60, 60, shape) / 4).astype(dtype)
        else:
            limits = np.iinfo(dtype)
            x = random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
            x[0, :, 1] = x[0, 0, 1]
            if name not in ("i64", "u64"):
                x[2] = x[2] % 7
        array("cube_" + name, x)
        for spelled, axes in AXES:
            for keep in [False, True] if name in ("f64", "i8") else [False]:
                suffix = "_keepdims" if keep else ""
                for op, function in [("sum", np.sum), ("min", np.min), ("max", np.max), ("all", np.all),
                                     ("any", np.any)]:
                    case(op + suffix, ["cube_" + name], function(x, axis=axes, keepdims=keep), "=", [spelled])
                if name not in FLOATS:
                    case("prod" + suffix, ["cube_" + name], np.prod(x, axis=axes, keepdims=keep), "=", [spelled])
                if axes is None or isinstance(axes, int):
                    for op, function in [("argmin", np.argmin), ("argmax", np.argmax)]:
                        case(op + suffix, ["cube_" + name], function(x, axis=axes, keepdims=keep), "=", [spelled])


def rounded_reductions():
    for name in FLOATS:
        x = array("positive_" + name, (random.random((2, 3, 4)) + 0.5).astype(DTYPES[name]))
        one = ["positive_" + name]
        # 24 summands, and a few roundings for the square, the quotient and the root.
        for spelled, axes in AXES:
            for keep in [False, True]:
                suffix = "_keepdims" if keep else ""
                case("sum" + suffix, one, np.sum(x, axis=axes, keepdims=keep), "~24", [spelled])
                case("prod" + suffix, one, np.prod(x, axis=axes, keepdims=keep), "~24", [spelled])
                case("mean" + suffix, one, np.mean(x, axis=axes, keepdims=keep), "~30", [spelled])
                case("norm" + suffix, one, np.sqrt(np.sum(x * x, axis=axes, keepdims=keep)), "~30", [spelled])
                exp = np.exp(x - np.max(x, axis=axes, keepdims=True))
                total = np.log(np.sum(exp, axis=axes, keepdims=keep)) + np.max(x, axis=axes, keepdims=keep)
                case("logsumexp" + suffix, one, total, "~40", [spelled])
            # The mean is off by 30 roundings of values below 1.5, the deviations are about 0.3: hence the factor 10.
            case("var", one, np.var(x, axis=axes), "~300", [spelled])
            case("std", one, np.std(x, axis=axes), "~300", [spelled])
            case("var_ddof", one, np.var(x, axis=axes, ddof=1), "~300", [spelled, 1])
            case("std_ddof", one, np.std(x, axis=axes, ddof=1), "~300", [spelled, 1])
            exp = np.exp(x - np.max(x, axis=axes, keepdims=True))
            case("softmax", one, exp / np.sum(exp, axis=axes, keepdims=True), "~40", [spelled])
    for name in ["bool", "i8", "u8", "i32"]:
        small = array("small_" + name, (np.arange(24).reshape(2, 3, 4) % 5).astype(DTYPES[name]))
        for spelled, axes in AXES[:5]:
            case("mean", ["small_" + name], np.mean(small, axis=axes), "~4", [spelled])
            case("var", ["small_" + name], np.var(small, axis=axes), "~30", [spelled])


def not_a_number():
    for name in FLOATS:
        x = array("holes_" + name, np.array([[1.0, np.nan, 3.0, np.nan], [np.inf, -np.inf, 2.0, -5.0],
                                              [-np.inf, 0.0, 0.0, 7.0]]).astype(DTYPES[name]))
        for spelled, axes in [("all", None), ("0", 0), ("1", 1)]:
            for op, function in [("sum", np.sum), ("prod", np.prod), ("min", np.min), ("max", np.max), ("all", np.all),
                                 ("any", np.any), ("argmin", np.argmin), ("argmax", np.argmax)]:
                case(op, ["holes_" + name], function(x, axis=axes), "0=", [spelled])
            case("mean", ["holes_" + name], np.mean(x, axis=axes), "~8", [spelled])
            case("var", ["holes_" + name], np.var(x, axis=axes), "~30", [spelled])
    for name in ["f64", "i32"]:
        empty = array("empty_" + name, np.zeros((2, 0, 3), DTYPES[name]))
        for op, function in [("sum", np.sum), ("prod", np.prod), ("all", np.all), ("any", np.any)]:
            for spelled, axes in [("all", None), ("1", 1), ("0", 0)]:
                case(op, ["empty_" + name], function(empty, axis=axes), "=", [spelled])


def shapes():
    x = array("grid", np.arange(42, dtype=np.int32).reshape(6, 7))
    for a, b, step in [(0, 6, 1), (1, 5, 2), (1, 5, -1), (0, 6, -2), (1, 6, -3), (2, 2, 1), (-4, -1, 1), (-5, 6, -2)]:
        b_python = b if b != 6 else None
        part = x[a:b_python]
        part = part[::step] if step < 0 else part[::step]
        case("slice_rows", ["grid"], part, "=", [a, b, step])
        case("slice_columns", ["grid"], (x[:, a:b_python])[:, ::step], "=", [a, 7 if b == 6 else b, step])
    case("index", ["grid"], x[2], "=", [2])
    case("index", ["grid"], x[-1], "=", [-1])
    case("new_axis", ["grid"], x[:, np.newaxis, 1])
    for a, b, step in [(5, 0, -1), (4, 1, -2), (-1, -4, -1), (0, 5, 3), (-3, 6, 1)]:
        case("slice_axis", ["grid"], x[a:b:step], "=", [a, b, step])
    for spelled, axes in [("0", 0), ("1", 1), ("0,1", (0, 1))]:
        case("flip", ["grid"], np.flip(x, axes), "=", [spelled])
    case("transpose", ["grid"], x.T)
    case("transpose", ["cube_i8"], arrays["cube_i8"].T)
    for order in [(0, 2, 1), (1, 0, 2), (2, 0, 1), (1, 2, 0)]:
        case("permute", ["cube_i8"], arrays["cube_i8"].transpose(order), "=", [order])
    for shape in [(7, 6), (42,), (2, 3, 7), (-1, 21), (1, 42, 1)]:
        case("reshape", ["grid"], x.reshape(shape), "=", [shape])
    y = array("row", np.arange(7, dtype=np.int64))
    case("broadcast_to", ["row"], np.broadcast_to(y, (3, 2, 7)), "=", [(3, 2, 7)])
    case("expand_dims", ["row"], y[:, None], "=", [-1])
    case("outer_sum", ["row"], y[:, None] + y)
    small = array("other", (np.arange(42, dtype=np.float32) * 0.5).reshape(6, 7))
    for axis in [0, 1, -1]:
        case("concat", ["grid", "other"], np.concatenate([x, small], axis), "=", [axis])
    for axis in [0, 1, 2, -1]:
        case("stack", ["grid", "other"], np.stack([x, small], axis), "=", [axis])


def products():
    for name in ["i8", "u8", "i32", "u64", "f32", "f64"]:
        dtype = DTYPES[name]
        if name in FLOATS:
            a, b = (random.random((3, 4)) + 0.1).astype(dtype), (random.random((4, 2)) + 0.1).astype(dtype)
        else:
            limits = np.iinfo(dtype)
            a = random.integers(limits.min, limits.max, (3, 4), dtype=dtype, endpoint=True)
            b = random.integers(limits.min, limits.max, (4, 2), dtype=dtype, endpoint=True)
        array("a_" + name, a), array("b_" + name, b)
        array("v_" + name, a[1]), array("w_" + name, b[:, 1])
        relation = "~4" if name in FLOATS else "="
        for left, right in [("a_", "b_"), ("a_", "w_"), ("v_", "b_"), ("v_", "w_")]:
            names = [left + name, right + name]
            case("matmul", names, np.matmul(arrays[names[0]], arrays[names[1]]), relation)


np.seterr(all="ignore")
operands()
pairs()
signed_with_unsigned()
same_dtype()
float_functions()
reductions()
rounded_reductions()
not_a_number()
shapes()
products()
path = pathlib.Path(__file__).with_suffix(".txt")
path.write_text("\n".join(lines) + "\n")
print(len(lines), "lines,", path.stat().st_size, "bytes")
