"""Writes functions.csv: reference values of the elementary and special functions.

An independent source: mpmath at 60 digits and more, each result rounded once to the nearest f64 (ties to even, with
gradual underflow and overflow to infinity). A line is `name,x,result` or `name,x,y,result`, each number the bit pattern
of an f64 in hexadecimal. Nearly half of the arguments are f32 numbers, so that they test f32 too.

    pip install mpmath==1.3.0
    python3 tests/data/functions.py
"""

import math
import pathlib
import random
import struct
from fractions import Fraction

from mpmath import mp, mpf

mp.dps = 60
INF = math.inf
SEED = 20240229


def bits(value):
    return format(struct.unpack("<Q", struct.pack("<d", value))[0], "016x")


def to_f32(value):
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return value


def to_f64(value):
    """An mpf rounded once to f64."""
    if not mp.isfinite(value):
        return float(value)
    sign, mantissa, exponent, width = value._mpf_
    if mantissa == 0:
        return 0.0
    magnitude = exponent + width
    if magnitude > 1025:
        result = INF
    elif magnitude < -1100:
        result = 0.0
    else:
        try:
            # The division of integers in Python is correctly rounded, for subnormal results too.
            ratio = Fraction(int(mantissa)) * Fraction(2) ** exponent
            result = ratio.numerator / ratio.denominator
        except OverflowError:
            result = INF
    return -result if sign else result


def erfinv(x):
    if x == 0:
        return mpf(0)
    sign, tail = (1 if x > 0 else -1), 1 - abs(x)
    with mp.workdps(90):
        y = mpf(to_f64(mp.erfinv(abs(x)))) if tail > 1e-10 else mp.sqrt(-mp.log(tail * mp.sqrt(mp.pi * -mp.log(tail))))
        for _ in range(12):
            # The complement keeps the digits of a tail; near 0 erf itself does.
            residual = mp.erf(y) - abs(x) if abs(x) < 0.5 else tail - mp.erfc(y)
            step = residual / (2 / mp.sqrt(mp.pi) * mp.exp(-y * y))
            y -= step / (1 + y * step)
        return sign * y


def gamma(x):
    if x > 200:
        return mp.inf
    if x < -250:
        return mpf(0) * 1
    with mp.workdps(90):
        return mp.gamma(x)


def lgamma(x):
    with mp.workdps(120):
        if x > 0:
            return mp.loggamma(x)
        return mp.log(mp.pi / abs(x * mp.sinpi(x))) - mp.loggamma(-x)


def digamma(x):
    with mp.workdps(120):
        if x > 0:
            return mp.digamma(x)
        return mp.digamma(-x) - 1 / x - mp.pi * mp.cospi(x) / mp.sinpi(x)


def erfc(x):
    return mpf(0) if x > 40 else mp.erfc(x)


def expm1(x):
    with mp.workdps(400 if abs(x) < 1e-20 else 90):
        return mp.exp(x) - 1


def log1p(x):
    with mp.workdps(400 if abs(x) < 1e-20 else 90):
        return mp.log(1 + x)


def wide(function):
    """Evaluated with enough digits that cancellation among tiny arguments cannot matter."""

    def evaluate(*arguments):
        with mp.workdps(400 if min(abs(a) for a in arguments) < 1e-20 else 90):
            return function(*arguments)

    return evaluate


def log_uniform(rng, low, high):
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def near(rng, point, count):
    """Arguments at geometric distances from a point, and its neighbours."""
    points = [math.nextafter(point, INF), math.nextafter(point, -INF)]
    scale = abs(point) or 1.0
    for _ in range(count):
        points.append(point + scale * rng.choice((-1, 1)) * 2.0 ** -rng.uniform(1, 50))
    return points


TINY = 5e-324
SMALLEST = 2.0**-1022

# name: (function, log-uniform magnitudes (low, high), signs, intervals, special points)
BOTH, POSITIVE = (-1, 1), (1,)
PI = math.pi
UNARY = {
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), (TINY, 1e308), BOTH, [(-30, 30)], [1, 8]),
    "exp": (mp.exp, (1e-20, 720), BOTH, [(-2, 2), (-745.2, -708), (700, 710)], [0, 1, 709.782712893384]),
    "exp2": (lambda x: mp.power(2, x), (1e-20, 1030), BOTH, [(-2, 2), (-1075, -1022), (1000, 1024)], [0, 1, 0.5]),
    "expm1": (expm1, (TINY, 720), BOTH, [(-2, 2), (-40, 0)], [0, 1, -1]),
    "ln": (mp.log, (TINY, 1e308), POSITIVE, [(0.5, 2), (0.9, 1.1)], [1, math.e]),
    "log2": (lambda x: mp.log(x) / mp.log(2), (TINY, 1e308), POSITIVE, [(0.5, 2), (0.9, 1.1)], [1, 2, 4]),
    "log10": (lambda x: mp.log(x) / mp.log(10), (TINY, 1e308), POSITIVE, [(0.5, 2), (0.9, 1.1)], [1, 10, 1000]),
    "log1p": (log1p, (TINY, 1e308), POSITIVE, [(-1, 1), (-0.5, 0.5), (-0.1, 0.1)], [0, -1, 1]),
    "sin": (mp.sin, (TINY, 1e300), BOTH, [(-7, 7), (-1000, 1000)], [0, PI, 2 * PI, PI / 2, 22]),
    "cos": (mp.cos, (1e-20, 1e300), BOTH, [(-7, 7), (-1000, 1000)], [0, PI, 1.5 * PI, PI / 2, 11]),
    "tan": (mp.tan, (TINY, 1e300), BOTH, [(-7, 7), (-1000, 1000)], [0, PI, PI / 4, PI / 2, 11]),
    "asin": (mp.asin, (TINY, 1), BOTH, [(-1, 1), (0.4, 0.6)], [0, 0.5, 1, -1]),
    "acos": (mp.acos, (1e-20, 1), BOTH, [(-1, 1), (0.4, 0.6)], [0, 0.5, 1, -1]),
    "atan": (mp.atan, (TINY, 1e308), BOTH, [(-3, 3), (0.3, 0.8)], [0, 1, 0.4375, 0.6875, 1.1875, 2.4375]),
    "sinh": (wide(mp.sinh), (TINY, 711), BOTH, [(-2, 2), (-30, 30), (700, 710.4)], [0, 1, 22]),
    "cosh": (wide(mp.cosh), (1e-20, 711), BOTH, [(-2, 2), (-30, 30), (700, 710.4)], [0, 1, 22]),
    "tanh": (wide(mp.tanh), (TINY, 100), BOTH, [(-2, 2), (-22, 22)], [0, 1, 0.55]),
    "asinh": (wide(mp.asinh), (TINY, 1e308), BOTH, [(-2, 2), (-30, 30)], [0, 1, 2.0**28]),
    "acosh": (mp.acosh, (1, 1e308), POSITIVE, [(1, 2), (1, 30)], [1, 1.5, 2.0**28]),
    "atanh": (wide(mp.atanh), (TINY, 1), BOTH, [(-1, 1), (-0.5, 0.5)], [0, 0.5, 1, -1]),
    "erf": (wide(mp.erf), (TINY, 30), BOTH, [(-1, 1), (-6, 6)], [0, 0.84375, 1.25, 1 / 0.35]),
    "erfc": (erfc, (1e-20, 28), BOTH, [(-1, 1), (-6, 6), (0, 27.3), (26, 27.3)], [0, 0.84375, 1.25, 1 / 0.35]),
    "erfinv": (erfinv, (TINY, 1), BOTH, [(-1, 1), (0.7, 0.8), (0.99, 1)], [0.5, 0.75, 1, -1, 1 - 1e-7]),
    "gamma": (gamma, (1e-320, 172), BOTH, [(0, 12), (12, 171.6), (-12, 0), (-184, -12)], [1, 2, 10, -1, -7, -40]),
    "lgamma": (lgamma, (TINY, 1e305), POSITIVE, [(0, 4), (0, 30), (-12, 0), (-200, -12), (-1e5, -1e3)], [1, 2, -1, -2.4570247382208006, -7, -40]),
    "digamma": (digamma, (1e-307, 1e300), POSITIVE, [(0, 4), (0, 30), (-12, 0), (-200, -12), (-1e8, -1e5)], [1, 1.4616321449683622, -1, -0.504083008264455409, -7, -40]),
}


def in_domain(name, x):
    if name in ("ln", "log2", "log10"):
        return x > 0
    if name in ("asin", "acos"):
        return abs(x) <= 1
    if name in ("atanh", "erfinv"):
        return abs(x) < 1
    if name == "acosh":
        return x >= 1
    if name == "log1p":
        return x > -1
    if name in ("gamma", "lgamma", "digamma"):
        return x > 0 or (x != math.floor(x))
    return True


def unary_points(rng, name, magnitudes, signs, intervals, specials):
    points = [rng.choice(signs) * log_uniform(rng, *magnitudes) for _ in range(70)]
    for low, high in intervals:
        points += [rng.uniform(low, high) for _ in range(90 // len(intervals))]
    for special in specials:
        points += near(rng, special, 50 // len(specials))
    if magnitudes[0] < SMALLEST:
        points += [rng.choice(signs) * log_uniform(rng, TINY, SMALLEST) for _ in range(6)]
    points = [to_f32(x) if rng.random() < 0.45 else x for x in points]
    return [x for x in dict.fromkeys(points) if x != 0 and math.isfinite(x) and in_domain(name, x)]


def pow_points(rng):
    points = []
    for _ in range(60):
        x = log_uniform(rng, 1e-300, 1e300)
        points.append((x, rng.uniform(-700, 700) / math.log(x)))
    for _ in range(60):
        points.append((rng.uniform(0.1, 10), rng.uniform(-20, 20)))
    for _ in range(30):
        x = 1 + rng.choice((-1, 1)) * 2.0 ** -rng.uniform(5, 50)
        points.append((x, rng.uniform(-740, 700) / math.log(x)))
    for _ in range(30):
        # Exponents beyond 2³¹ of bases with many bits: hard for logarithms that take the base to be short.
        x = 1 + rng.choice((-1, 1)) * 2.0 ** -rng.uniform(21.6, 24)
        points.append((x, rng.choice((-1, 1)) * rng.uniform(690, 705) / math.log(x)))
    for _ in range(30):
        points.append((-rng.uniform(0.1, 10), float(rng.randint(-60, 60))))
    for _ in range(20):
        points.append((log_uniform(rng, TINY, SMALLEST), rng.uniform(-1, 1)))
    return points


def plane_points(rng):
    points = []
    for _ in range(60):
        points.append(tuple(rng.choice(BOTH) * log_uniform(rng, 1e-300, 1e300) for _ in range(2)))
    for _ in range(80):
        points.append((rng.uniform(-4, 4), rng.uniform(-4, 4)))
    for _ in range(50):
        x = rng.choice(BOTH) * log_uniform(rng, 1e-290, 1e290)
        points.append((x, x * rng.choice(BOTH) * 2.0 ** rng.uniform(-30, 30)))
    for _ in range(20):
        points.append((log_uniform(rng, TINY, 1e-306), log_uniform(rng, TINY, 1e-306)))
    return points


BINARY = {
    "pow": (lambda x, y: mp.power(x, int(y)) if x < 0 else mp.power(x, y), pow_points),
    "atan2": (mp.atan2, plane_points),
    "hypot": (lambda x, y: mp.sqrt(x * x + y * y), plane_points),
}


def lines():
    for name, (function, *shape) in UNARY.items():
        rng = random.Random(f"{SEED} {name}")
        for x in unary_points(rng, name, *shape):
            yield f"{name},{bits(x)},{bits(to_f64(function(mpf(x))))}"
    for name, (function, points) in BINARY.items():
        rng = random.Random(f"{SEED} {name}")
        for pair in points(rng):
            x, y = (to_f32(v) if v != 0 else v for v in pair) if rng.random() < 0.45 else pair
            if 0 in (x, y) or not (math.isfinite(x) and math.isfinite(y)):
                continue
            yield f"{name},{bits(x)},{bits(y)},{bits(to_f64(function(mpf(x), mpf(y))))}"


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("functions.csv")
    path.write_text("\n".join(lines()) + "\n")
