"""Loops in which every step needs the one before: filters, integrations, controllers, recurrent networks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from dualdiff.lab.problems import mechanics
from tests.benchmarks.compiled.workload import Bar, Derivative, Workload, as_it_is
from tests.benchmarks.installed import installed

AHEAD = (Bar(0.1, "2-point"),)


# -- Lorenz ----------------------------------------------------------------------------------------


def lorenz_by_loops(x: Any, steps: int, h: float) -> Any:
    """The state and its derivatives by start and parameters, stepped together."""
    y = np.zeros((3, 7))
    for i in range(3):
        y[i, 0] = x[i]
        y[i, i + 1] = 1.0
    k = np.zeros((4, 3, 7))
    at = np.zeros((3, 7))
    for _ in range(steps):
        for stage in range(4):
            c = 0.0 if stage == 0 else h if stage == 3 else h / 2
            for i in range(3):
                for j in range(7):
                    at[i, j] = y[i, j] + c * k[stage - 1, i, j] if stage else y[i, j]
            a, b, d = at[0, 0], at[1, 0], at[2, 0]
            k[stage, 0, 0], k[stage, 1, 0], k[stage, 2, 0] = x[3] * (b - a), a * (x[4] - d) - b, a * b - x[5] * d
            for j in range(1, 7):
                k[stage, 0, j] = x[3] * (at[1, j] - at[0, j])
                k[stage, 1, j] = at[0, j] * (x[4] - d) - a * at[2, j] - at[1, j]
                k[stage, 2, j] = at[0, j] * b + a * at[1, j] - x[5] * at[2, j]
            k[stage, 0, 4] += b - a
            k[stage, 1, 5] += a
            k[stage, 2, 6] -= d
        for i in range(3):
            for j in range(7):
                y[i, j] += h / 6 * (k[0, i, j] + 2 * k[1, i, j] + 2 * k[2, i, j] + k[3, i, j])
    return y[:, 1:].copy()


def _lorenz_slope(s: Any, p: Any, stack: Any) -> Any:
    return stack([p[0] * (s[1] - s[0]), s[0] * (p[1] - s[2]) - s[1], s[0] * s[1] - p[2] * s[2]])


def _lorenz_step(s: Any, p: Any, h: float, stack: Any) -> Any:
    k1 = _lorenz_slope(s, p, stack)
    k2 = _lorenz_slope(s + h / 2 * k1, p, stack)
    k3 = _lorenz_slope(s + h / 2 * k2, p, stack)
    k4 = _lorenz_slope(s + h * k3, p, stack)
    return s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def lorenz_in_jax(x: Any, *, steps: int, h: float) -> Any:
    jax = installed("jax")
    step = partial(_lorenz_step, p=x[3:], h=h, stack=jax.numpy.stack)
    return jax.lax.scan(lambda s, _: (step(s), None), x[:3], None, length=steps)[0]


def lorenz_in_casadi(casadi: Any, *, steps: int, h: float) -> Any:
    s, p, x = casadi.SX.sym("s", 3), casadi.SX.sym("p", 3), casadi.MX.sym("x", 6)
    step = casadi.Function("step", [s, p], [_lorenz_step(s, p, h, lambda parts: casadi.vertcat(*parts))])
    end = step.fold(steps)(x[:3], casadi.repmat(x[3:], 1, steps))
    return x, casadi.jacobian(end, x).T


# -- filters ---------------------------------------------------------------------------------------


def kalman(theta: Any, *, seen: Any) -> Any:
    """The innovations of a Kalman filter of one number, by the variances of its two noises."""
    mean, variance = 0.0, 1.0
    found = []
    for y in seen:
        variance = variance + theta[0]
        gain = variance / (variance + theta[1])
        found.append(y - mean)
        mean, variance = mean + gain * (y - mean), (1 - gain) * variance
    return np.stack(found)


def kalman_in_jax(theta: Any, *, seen: Any) -> Any:
    jax = installed("jax")

    def step(state: Any, y: Any) -> Any:
        mean, variance = state
        variance = variance + theta[0]
        gain = variance / (variance + theta[1])
        return (mean + gain * (y - mean), (1 - gain) * variance), y - mean

    return jax.lax.scan(step, (0.0, 1.0), seen)[1]


def kalman_by_loops(theta: Any, seen: Any) -> Any:
    J = np.empty((seen.size, 2))
    mean, variance = 0.0, 1.0
    by_mean, by_variance = np.zeros(2), np.zeros(2)
    for i in range(seen.size):
        variance += theta[0]
        by_variance[0] += 1.0
        total = variance + theta[1]
        gain = variance / total
        for j in range(2):
            J[i, j] = -by_mean[j]
            by_gain = (by_variance[j] - gain * (by_variance[j] + j)) / total
            by_mean[j] += by_gain * (seen[i] - mean) - gain * by_mean[j]
            by_variance[j] = (1 - gain) * by_variance[j] - by_gain * variance
        mean, variance = mean + gain * (seen[i] - mean), (1 - gain) * variance
    return J


def garch(p: Any, *, returns: Any) -> Any:
    """Minus twice the log-likelihood of returns whose variance follows GARCH(1, 1), up to a constant."""
    variance, total = 0.2, 0.0
    for r in returns:
        total = total + np.log(variance) + r * r / variance
        variance = p[0] + p[1] * (r * r) + p[2] * variance
    return total


def garch_in_jax(p: Any, *, returns: Any) -> Any:
    jax = installed("jax")

    def step(variance: Any, r: Any) -> Any:
        return p[0] + p[1] * r * r + p[2] * variance, jax.numpy.log(variance) + r * r / variance

    return jax.numpy.sum(jax.lax.scan(step, 0.2, returns)[1])


def garch_by_loops(p: Any, returns: Any) -> Any:
    g, by = np.zeros(3), np.zeros(3)
    variance = 0.2
    for i in range(returns.size):
        square = returns[i] * returns[i]
        slope = 1 / variance - square / (variance * variance)
        for j in range(3):
            g[j] += slope * by[j]
            by[j] *= p[2]
        by[0] += 1.0
        by[1] += square
        by[2] += variance
        variance = p[0] + p[1] * square + p[2] * variance
    return g


def biquad(c: Any, *, signal: Any, target: Any) -> Any:
    """The squared error of a digital filter of second order, by its five coefficients."""
    u1 = u2 = y1 = y2 = total = 0.0
    for u, wanted in zip(signal, target, strict=True):
        y = c[0] * u + c[1] * u1 + c[2] * u2 - c[3] * y1 - c[4] * y2
        total = total + (y - wanted) ** 2
        u1, u2, y1, y2 = u, u1, y, y1
    return total


def biquad_in_jax(c: Any, *, signal: Any, target: Any) -> Any:
    jax = installed("jax")

    def step(state: Any, now: Any) -> Any:
        u1, u2, y1, y2 = state
        u, wanted = now
        y = c[0] * u + c[1] * u1 + c[2] * u2 - c[3] * y1 - c[4] * y2
        return (u, u1, y, y1), (y - wanted) ** 2

    return jax.numpy.sum(jax.lax.scan(step, (0.0, 0.0, 0.0, 0.0), (signal, target))[1])


def biquad_by_loops(c: Any, signal: Any, target: Any) -> Any:
    g, d1, d2 = np.zeros(5), np.zeros(5), np.zeros(5)
    d = np.zeros(5)
    u1 = u2 = y1 = y2 = 0.0
    for i in range(signal.size):
        u = signal[i]
        y = c[0] * u + c[1] * u1 + c[2] * u2 - c[3] * y1 - c[4] * y2
        for j in range(5):
            d[j] = -c[3] * d1[j] - c[4] * d2[j]
        d[0] += u
        d[1] += u1
        d[2] += u2
        d[3] -= y1
        d[4] -= y2
        for j in range(5):
            g[j] += 2 * (y - target[i]) * d[j]
            d2[j] = d1[j]
            d1[j] = d[j]
        u1, u2, y1, y2 = u, u1, y, y1
    return g


# -- an integration and a controller of one's own --------------------------------------------------


def oscillator(p: Any, *, steps: int) -> Any:
    """Van der Pol's oscillator by the classical Runge-Kutta method on plain numbers: its end, by damping and start."""

    def slope(x: Any, v: Any) -> Any:
        return v, p[0] * (1 - x * x) * v - x

    x, v, h = p[1], p[2], 0.01
    for _ in range(steps):
        a1, b1 = slope(x, v)
        a2, b2 = slope(x + h / 2 * a1, v + h / 2 * b1)
        a3, b3 = slope(x + h / 2 * a2, v + h / 2 * b2)
        a4, b4 = slope(x + h * a3, v + h * b3)
        x, v = x + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4), v + h / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
    return np.stack([x, v])


def controlled(k: Any, *, steps: int) -> Any:
    """The squared error of a PID controller with a soft limit on a sluggish oscillator, by its three gains."""
    place, speed, total, before = 0.0, 0.0, 0.0, 1.0
    error = cost = 1.0
    h = 0.02
    for _ in range(steps):
        error = 1.0 - place
        total = total + h * error
        push = 5 * np.tanh((k[0] * error + k[1] * total + k[2] * (error - before) / h) / 5)
        before = error
        speed = speed + h * (push - 0.4 * speed - 2 * place)
        place = place + h * speed
        cost = cost + error * error
    return cost


# -- against PyTorch -------------------------------------------------------------------------------


def lstm(steps: int, inputs: int, size: int) -> dict[str, Any]:
    """The squared output of an LSTM cell over a sequence, by its weights: the same in PyTorch's cell by cell, and in its whole layer."""
    rng = np.random.default_rng(0)
    sequence = rng.standard_normal((steps, inputs))
    joined = inputs + size
    rows = 4 * size

    def loss(x: Any) -> Any:
        weight, bias = x[: rows * joined].reshape(rows, joined), x[rows * joined :]
        h, c, total = np.zeros(size), np.zeros(size), 0.0
        for u in sequence:
            z = weight @ np.concatenate([u, h]) + bias
            admit, keep = 1 / (1 + np.exp(-z[:size])), 1 / (1 + np.exp(-z[size : 2 * size]))
            c = keep * c + admit * np.tanh(z[2 * size : 3 * size])
            h = np.tanh(c) / (1 + np.exp(-z[3 * size :]))
            total = total + np.sum(h * h)
        return total

    def loss_in_jax(x: Any) -> Any:
        jax = installed("jax")
        m = jax.numpy
        weight, bias = x[: rows * joined].reshape(rows, joined), x[rows * joined :]

        def step(state: Any, u: Any) -> Any:
            h, c = state
            z = weight @ m.concatenate([u, h]) + bias
            admit, keep, show = [jax.nn.sigmoid(z[k * size : (k + 1) * size]) for k in (0, 1, 3)]
            c = keep * c + admit * m.tanh(z[2 * size : 3 * size])
            h = show * m.tanh(c)
            return (h, c), m.sum(h * h)

        return m.sum(jax.lax.scan(step, (m.zeros(size), m.zeros(size)), sequence)[1])

    x = rng.standard_normal(rows * (joined + 1)) / np.sqrt(joined)

    def by_cells() -> Any:
        torch = installed("torch")
        given = torch.from_numpy(sequence)

        def call() -> Any:
            w = torch.from_numpy(x).requires_grad_()
            weight, bias = w[: rows * joined].reshape(rows, joined), w[rows * joined :]
            h = c = torch.zeros(size, dtype=torch.float64)
            total = 0.0
            for u in given:
                admit, keep, fresh, show = (weight @ torch.cat([u, h]) + bias).chunk(4)
                c = torch.sigmoid(keep) * c + torch.sigmoid(admit) * torch.tanh(fresh)
                h = torch.sigmoid(show) * torch.tanh(c)
                total = total + (h * h).sum()
            total.backward()
            return w.grad.numpy()

        return call, as_it_is

    def by_the_layer() -> Any:
        torch = installed("torch")
        given = torch.from_numpy(sequence)
        layer = torch.nn.LSTM(inputs, size, dtype=torch.float64)
        weight, bias = x[: rows * joined].reshape(rows, joined), x[rows * joined :]
        with torch.no_grad():
            layer.weight_ih_l0.copy_(torch.from_numpy(weight[:, :inputs].copy()))
            layer.weight_hh_l0.copy_(torch.from_numpy(weight[:, inputs:].copy()))
            layer.bias_ih_l0.copy_(torch.from_numpy(bias))
            layer.bias_hh_l0.zero_()

        def call() -> Any:
            layer.zero_grad()
            h, _ = layer(given)
            (h * h).sum().backward()
            both = torch.cat([layer.weight_ih_l0.grad, layer.weight_hh_l0.grad], dim=1)
            return np.concatenate([both.numpy().ravel(), layer.bias_ih_l0.grad.numpy()])

        return call, as_it_is

    return {
        "function": loss, "x": x, "in_jax": loss_in_jax, "others": {"PyTorch": by_cells, "nn.LSTM": by_the_layer},
    }  # fmt: skip


def reaction(states: int, steps: int) -> dict[str, Any]:
    """The squared end of a reaction that spreads round a ring, by its start."""
    x = np.abs(np.sin(np.random.default_rng(0).standard_normal(states)))

    def end(u: Any) -> Any:
        for _ in range(steps):
            u = u + 0.2 * (np.roll(u, 1) - 2 * u + np.roll(u, -1)) + 0.01 * u * (1 - u)
        return np.sum(u * u)

    def by_hand(u: Any) -> Any:
        states = []
        for _ in range(steps):
            states.append(u)
            u = u + 0.2 * (np.roll(u, 1) - 2 * u + np.roll(u, -1)) + 0.01 * u * (1 - u)
        g = 2 * u
        for u in reversed(states):
            g = g + 0.2 * (np.roll(g, 1) - 2 * g + np.roll(g, -1)) + 0.01 * (1 - 2 * u) * g
        return g

    def end_in_jax(u: Any) -> Any:
        jax = installed("jax")
        m = jax.numpy

        def step(u: Any, _: Any) -> Any:
            return u + 0.2 * (m.roll(u, 1) - 2 * u + m.roll(u, -1)) + 0.01 * u * (1 - u), None

        return m.sum(jax.lax.scan(step, u, None, length=steps)[0] ** 2)

    def in_torch() -> Any:
        torch = installed("torch")

        def call() -> Any:
            start = torch.from_numpy(x).requires_grad_()
            u = start
            for _ in range(steps):
                u = u + 0.2 * (torch.roll(u, 1) - 2 * u + torch.roll(u, -1)) + 0.01 * u * (1 - u)
            (u * u).sum().backward()
            return start.grad.numpy()

        return call, as_it_is

    return {"function": end, "x": x, "by_hand": by_hand, "in_jax": end_in_jax, "others": {"PyTorch": in_torch}}


# --------------------------------------------------------------------------------------------------


def workloads(tiny: bool = False) -> list[Workload]:
    """Return the family."""
    rng = np.random.default_rng(0)
    steps, observed, returned, sampled, controls = (3, 4, 5, 6, 7) if tiny else (1000, 500, 1000, 2000, 500)
    case = mechanics.lorenz_rk4(steps)
    seen = np.sin(np.arange(observed) / 7)
    returns = 0.3 * rng.standard_normal(returned)
    signal = rng.standard_normal(sampled)
    target = np.convolve(signal, [0.5, 0.3, 0.1])[:sampled]
    return [
        Derivative(
            name=f"Lorenz, {steps} Runge-Kutta steps, 3 × 6",
            function=case.function,
            x=np.array(case.point),
            by_hand=case.jacobian,
            by_loops=lorenz_by_loops,
            data=(steps, 0.01),
            in_jax=partial(lorenz_in_jax, steps=steps, h=0.01),
            in_casadi=partial(lorenz_in_casadi, steps=steps, h=0.01),
            differences=True,
            bars=(Bar(100.0), Bar(0.1, "2-point")),
            rtol=1e-6,
        ),
        Derivative(
            name=f"Kalman filter, {observed} × 2",
            function=partial(kalman, seen=seen),
            x=np.array([0.1, 0.5]),
            by_loops=kalman_by_loops,
            data=(seen,),
            in_jax=partial(kalman_in_jax, seen=seen),
            symbols=True,
            differences=True,
            bars=AHEAD,
        ),
        Derivative(
            name=f"gradient of GARCH's likelihood, {returned} returns",
            function=partial(garch, returns=returns),
            x=np.array([0.02, 0.1, 0.7]),
            wanted="gradient",
            by_loops=garch_by_loops,
            data=(returns,),
            in_jax=partial(garch_in_jax, returns=returns),
            symbols=True,
            differences=True,
            bars=AHEAD,
        ),
        Derivative(
            name=f"gradient of a filter's error, {sampled} samples",
            function=partial(biquad, signal=signal, target=target),
            x=np.array([0.4, 0.2, 0.1, 0.1, 0.05]),
            wanted="gradient",
            by_loops=biquad_by_loops,
            data=(signal, target),
            in_jax=partial(biquad_in_jax, signal=signal, target=target),
            symbols=True,
            differences=True,
            bars=AHEAD,
        ),
        Derivative(
            name=f"van der Pol, {controls} Runge-Kutta steps, 2 × 3",
            function=partial(oscillator, steps=controls),
            x=np.array([1.5, 0.5, 0.3]),
            in_jax=False,
            symbols=True,
            differences=True,
            bars=AHEAD,
        ),
        Derivative(
            name=f"gradient of a PID controller's error, {controls} steps",
            function=partial(controlled, steps=controls),
            x=np.array([3.0, 1.5, 0.5]),
            wanted="gradient",
            in_jax=False,
            symbols=True,
            differences=True,
            bars=AHEAD,
        ),
        Derivative(
            name="gradient of an LSTM cell, 1024 steps",
            wanted="gradient",
            bars=(Bar(0.1, "PyTorch"),),
            **lstm(*((5, 2, 3) if tiny else (1024, 4, 8))),
        ),
        Derivative(
            name="gradient of an ODE of 1000 states, 100 steps",
            wanted="gradient",
            bars=(Bar(0.1, "PyTorch"),),
            **reaction(*((8, 3) if tiny else (1000, 100))),
        ),
    ]
