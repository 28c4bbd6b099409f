"""Recurrences as people write them, and what becomes of them as programs; test_loops.py runs them.

Each function gives (the result, the inputs) for a number of steps.
"""

import math
import random

import autograd_lite as ag


def gaussian(rng, scale):
    """What makes a row of parameters."""
    return lambda n: [ag.Parameter(rng.gauss(0, scale)) for _ in range(n)]


def runge_kutta(f, y, h):
    """A step of RK4."""
    k1 = f(*y)
    k2 = f(*(a + h / 2 * b for a, b in zip(y, k1, strict=True)))
    k3 = f(*(a + h / 2 * b for a, b in zip(y, k2, strict=True)))
    k4 = f(*(a + h * b for a, b in zip(y, k3, strict=True)))
    return [a + h / 6 * (p + 2 * q + 2 * r + s) for a, p, q, r, s in zip(y, k1, k2, k3, k4, strict=True)]


def sir(T):
    beta, gamma = ag.Parameter(0.4), ag.Parameter(0.1)
    h = 0.5

    def f(s, i, r):
        return -beta * s * i, beta * s * i - gamma * i, gamma * i

    y = (ag.Parameter(0.99), ag.Parameter(0.01), ag.Value(0.0))
    rng = random.Random(0)
    loss = 0.0
    for _t in range(T):
        y = runge_kutta(f, y, h)
        loss = loss + (y[1] - rng.random()) ** 2
    return loss + y[2] ** 2, []


def orbit(T):
    m = ag.Parameter(1.0)
    h = 0.01

    def f(x, y, u, v):
        r3 = (x * x + y * y) ** 1.5
        return u, v, -m * x / r3, -m * y / r3

    y = (ag.Parameter(1.0), ag.Parameter(0.0), ag.Parameter(0.0), ag.Parameter(1.1))
    for _t in range(T):
        y = runge_kutta(f, y, h)
    return (y[0] - 0.3) ** 2 + (y[1] - 0.4) ** 2, []


def logistic(T):
    r, x = ag.Parameter(3.6), ag.Parameter(0.3)
    for _t in range(T):
        x = r * x * (1 - x)
    return x, []


def garch(T):
    omega, alpha, beta = ag.Parameter(0.05), ag.Parameter(0.1), ag.Parameter(0.85)
    rng = random.Random(0)
    r = [ag.Value(rng.gauss(0, 1)) for _ in range(T)]
    s2 = omega / (1 - alpha - beta)
    ll = 0.0
    for t in range(T):
        ll = ll + ag.log(s2) + r[t] ** 2 / s2
        s2 = omega + alpha * r[t] ** 2 + beta * s2
    return 0.5 * ll, [r]


def kalman(T):
    """Constant velocity, 2 states, scalar observation."""
    q, rr = ag.Parameter(0.1), ag.Parameter(0.5)
    dt = 1.0
    rng = random.Random(0)
    z = [ag.Value(rng.gauss(0, 1)) for _ in range(T)]
    x, v = ag.Value(0.0), ag.Value(0.0)
    p11, p12, p22 = ag.Value(1.0), ag.Value(0.0), ag.Value(1.0)
    nll = 0.0
    for t in range(T):
        x = x + dt * v
        p11, p12, p22 = p11 + 2 * dt * p12 + dt * dt * p22 + q / 4, p12 + dt * p22 + q / 2, p22 + q
        s = p11 + rr
        e = z[t] - x
        k1, k2 = p11 / s, p12 / s
        x, v = x + k1 * e, v + k2 * e
        p11, p12, p22 = (1 - k1) * p11, (1 - k1) * p12, p22 - k2 * p12
        nll = nll + ag.log(s) + e * e / s
    return nll, [z]


def rnn(T, H=16, D=4, layers=1, last_only=False):
    rng = random.Random(0)
    P = gaussian(rng, 0.3)
    xs = [[ag.Value(rng.gauss(0, 1)) for _ in range(D)] for _ in range(T)]
    ys = [ag.Value(rng.gauss(0, 1)) for _ in range(T)]
    W, U, b = [], [], []
    for layer in range(layers):
        d = D if layer == 0 else H
        W.append([P(d) for _ in range(H)])
        U.append([P(H) for _ in range(H)])
        b.append(P(H))
    V, c = P(H), P(1)[0]
    h = [[0.0] * H for _ in range(layers)]
    loss = 0.0
    for t in range(T):
        x = xs[t]
        for layer in range(layers):
            h[layer] = [ag.tanh(ag.dot(W[layer][i], x) + ag.dot(U[layer][i], h[layer]) + b[layer][i]) for i in range(H)]
            x = h[layer]
        if not last_only or t == T - 1:
            loss = loss + (ag.dot(V, h[-1]) + c - ys[t]) ** 2
    return loss, [xs, ys]


def rnn2(T):
    return rnn(T, 8, 3, 2)


def rnn_last(T):
    return rnn(T, 16, 4, 1, True)


def lstm(T, H=8, D=3):
    rng = random.Random(0)
    P = gaussian(rng, 0.3)
    xs = [[ag.Value(rng.gauss(0, 1)) for _ in range(D)] for _ in range(T)]
    W = [[P(D + H) for _ in range(H)] for _ in range(4)]
    b = [P(H) for _ in range(4)]
    V = P(H)
    h, c = [0.0] * H, [0.0] * H
    loss = 0.0
    for t in range(T):
        xh = list(xs[t]) + h
        pre = [[ag.dot(W[g][i], xh) + b[g][i] for i in range(H)] for g in range(4)]
        i_, f_, o_ = ([ag.sigmoid(z) for z in pre[g]] for g in range(3))
        g_ = [ag.tanh(z) for z in pre[3]]
        c = [f * cc + i * g for f, cc, i, g in zip(f_, c, i_, g_, strict=True)]
        h = [o * ag.tanh(cc) for o, cc in zip(o_, c, strict=True)]
        loss = loss + (ag.dot(V, h) - 0.5) ** 2
    return loss, [xs]


def hmm(T, K=5):
    rng = random.Random(0)
    A = [[ag.Parameter(rng.gauss(0, 1)) for _ in range(K)] for _ in range(K)]
    A = [ag.log_softmax(r) for r in A]
    mu = [ag.Parameter(rng.gauss(0, 1)) for _ in range(K)]
    z = [ag.Value(rng.gauss(0, 1)) for _ in range(T)]
    a = [-0.5 * (z[0] - m) ** 2 for m in mu]
    for t in range(1, T):
        a = [ag.logsumexp([a[i] + A[i][j] for i in range(K)]) - 0.5 * (z[t] - mu[j]) ** 2 for j in range(K)]
    return -ag.logsumexp(a), [z]


def horner(T):
    x = ag.Parameter(0.9)
    c = [ag.Parameter(1.0 / (k + 1)) for k in range(T)]
    y = c[0]
    for k in range(1, T):
        y = y * x + c[k]
    return y, []


def running(T):
    """Cumulative sums, each used: squared."""
    x = [ag.Value(0.1 * k) for k in range(T)]
    w = ag.Parameter(1.0)
    s, loss = 0.0, 0.0
    for t in range(T):
        s = s + w * x[t]
        loss = loss + ag.sin(s)
    return loss, [x]


def gd(T):
    """Gradient descent on Rosenbrock unrolled, the learning rate a parameter."""
    lr = ag.Parameter(0.001)
    x, y = ag.Parameter(-1.0), ag.Parameter(1.0)
    for _t in range(T):
        gx = -2 * (1 - x) - 400 * x * (y - x * x)
        gy = 200 * (y - x * x)
        x, y = x - lr * gx, y - lr * gy
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2, []


def newton(T, inner=3):
    """Implicit Euler of y' = -k y^3 with a fixed number of Newton steps."""
    k, y = ag.Parameter(0.7), ag.Parameter(1.0)
    h = 0.1
    loss = 0.0
    for _t in range(T):
        z = y
        for _ in range(inner):
            F = z - y + h * k * z**3
            dF = 1 + 3 * h * k * z**2
            z = z - F / dF
        y = z
        loss = loss + (y - 0.5) ** 2
    return loss, []


def where(T):
    """A bouncing ball: the branch depends on the state."""
    g, e = ag.Parameter(9.8), ag.Parameter(0.8)
    h = 0.01
    y, v = ag.Value(1.0), ag.Value(0.0)
    for _t in range(T):
        v2 = v - h * g
        y2 = y + h * v2
        hit = ag.less(y2, 0.0)
        y, v = ag.where(hit, -y2, y2), ag.where(hit, -e * v2, v2)
    return y * y + v, []


def fibonacci(T):
    """AR(2): a delay of two steps."""
    a, b = ag.Parameter(0.5), ag.Parameter(0.3)
    u, v = ag.Parameter(1.0), ag.Parameter(1.0)
    loss = 0.0
    for _t in range(T):
        u, v = v, a * v + b * u + ag.sin(v)
        loss = loss + v * v
    return loss, []


def adam(T):
    lr = ag.Parameter(0.01)
    x = ag.Parameter(2.0)
    m = v = 0.0
    for t in range(1, T + 1):
        g = ag.cos(x) + 0.2 * x
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        x = x - lr * (m / (1 - 0.9**t)) / (ag.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return x * x, []


def lengths(T):
    """Eight sequences of different lengths through one small RNN."""
    rng = random.Random(0)
    H = 4
    P = gaussian(rng, 0.3)
    U, w, b, V = [P(H) for _ in range(H)], P(H), P(H), P(H)
    loss = 0.0
    for s in range(8):
        h = [0.0] * H
        for _t in range(max(3, T * (s + 1) // 8)):
            x = ag.Value(rng.gauss(0, 1))
            h = [ag.tanh(w[i] * x + ag.dot(U[i], h) + b[i]) for i in range(H)]
        loss = loss + ag.dot(V, h) ** 2
    return loss, []


def interleaved(T):
    """Two independent recurrences of different shape in one Python loop; the second only matters at the end."""
    a, b = ag.Parameter(0.3), ag.Parameter(0.7)
    u, v = ag.Parameter(0.1), ag.Parameter(0.2)
    loss = 0.0
    for _t in range(T):
        u = ag.sin(a * u) + 0.1
        v = ag.tanh(b * v) * v + ag.exp(-v * v) * 0.3
        loss = loss + u * u
    return loss + v, []


def alternating(T):
    x, w = ag.Parameter(0.4), ag.Parameter(1.3)
    for t in range(T):
        x = ag.sin(w * x) if t % 2 else ag.tanh(w * x + 0.1)
    return x * x, []


def thinned(T):
    """Something extra at every tenth step."""
    x, w = ag.Parameter(0.4), ag.Parameter(1.3)
    loss = 0.0
    for t in range(T):
        x = ag.sin(w * x) + 0.1
        if t % 10 == 9:
            loss = loss + (ag.log(x * x + 1.0) - 0.3) ** 2
    return loss, []


def irregular_obs(T):
    """Observations at irregular times: the recurrence is regular, what hangs on it is not."""
    rng = random.Random(1)
    x, w = ag.Parameter(0.4), ag.Parameter(1.3)
    loss = 0.0
    for _t in range(T):
        x = ag.sin(w * x) + 0.1
        if rng.random() < 0.3:
            loss = loss + (ag.log(x * x + 1.0) - 0.3) ** 2
    return loss, []


def multistep(T):
    """Adams-Bashforth 4 after three Euler steps: delays of up to four steps."""
    k = ag.Parameter(1.0)
    x, v = ag.Parameter(1.0), ag.Parameter(0.0)
    h = 0.05
    F = []
    for t in range(T):
        F.append((v, -k * ag.sin(x)))
        if t < 3:
            x, v = x + h * F[-1][0], v + h * F[-1][1]
        else:
            x, v = (
                a + h / 24 * (55 * F[-1][i] - 59 * F[-2][i] + 37 * F[-3][i] - 9 * F[-4][i]) for i, a in ((0, x), (1, v))
            )
    return x * x + v * v, []


def two_phases(T):
    """Half the steps with one method, half with another."""
    x, w = ag.Parameter(0.4), ag.Parameter(1.3)
    for _t in range(T // 2):
        x = x + 0.1 * ag.sin(w * x)
    for _t in range(T // 2):
        k = ag.sin(w * x)
        x = x + 0.05 * (k + ag.sin(w * (x + 0.1 * k)))
    return x, []


def bidirectional(T, H=4):
    rng = random.Random(0)
    P = gaussian(rng, 0.3)
    xs = [ag.Value(rng.gauss(0, 1)) for _ in range(T)]
    out = []
    for d in (1, -1):
        U, w, b = [P(H) for _ in range(H)], P(H), P(H)
        h = [0.0] * H
        hs = []
        for x in xs[::d]:
            h = [ag.tanh(w[i] * x + ag.dot(U[i], h) + b[i]) for i in range(H)]
            hs.append(h)
        out.append(hs[::d])
    V = P(2 * H)
    loss = 0.0
    for f, g in zip(*out, strict=True):
        loss = loss + (ag.dot(V, f + g) - 0.2) ** 2
    return loss, [xs]


def attention_cache(T, H=3):
    """Every step attends to all steps before it: no fixed body."""
    rng = random.Random(0)
    P = gaussian(rng, 0.5)
    W = [P(H) for _ in range(H)]
    hs = [P(H)]
    for _t in range(T):
        q = hs[-1]
        p = ag.softmax([ag.dot(q, h) for h in hs])
        c = [ag.dot(p, [h[i] for h in hs]) for i in range(H)]
        hs.append([ag.tanh(ag.dot(W[i], c)) for i in range(H)])
    return ag.dot(hs[-1], hs[-1]), []


def decoder(T, H=4, S=6):
    """A decoder that attends to fixed encoder states at every step."""
    rng = random.Random(0)
    P = gaussian(rng, 0.5)
    enc = [P(H) for _ in range(S)]
    W = [P(2 * H) for _ in range(H)]
    h = P(H)
    loss = 0.0
    for _t in range(T):
        p = ag.softmax([ag.dot(h, e) for e in enc])
        c = [ag.dot(p, [e[i] for e in enc]) for i in range(H)]
        h = [ag.tanh(ag.dot(W[i], h + c)) for i in range(H)]
        loss = loss + (h[0] - 0.1) ** 2
    return loss, []


def nested(T, inner=12):
    """Gradient descent by hand on a rolled-out recurrence: an inner loop of 12 steps in every outer one."""
    w, lr = ag.Parameter(0.8), 0.01
    out = 0.0
    for _t in range(T):
        x, g = 0.5, 0.0
        for _s in range(inner):
            g = x * ag.cos(w * x) + w * ag.cos(w * x) * g
            x = ag.sin(w * x) + 0.2
        w = w - lr * 2 * (x - 0.3) * g
        out = out + x
    return out, []


def cholesky(n):
    """Not periodic: the loops shrink."""
    n = max(4, min(24, n // 4))
    rng = random.Random(0)
    A = [[ag.Parameter(rng.gauss(0, 0.1) + (2 * n if i == j else 0)) for j in range(n)] for i in range(n)]
    L = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            s = A[max(i, j)][min(i, j)]
            for k in range(j):
                s = s - L[i][k] * L[j][k]
            L[i][j] = ag.sqrt(s) if i == j else s / L[j][j]
    out = 0.0
    for i in range(n):
        out = out + ag.log(L[i][i])
    return out, []


def tridiagonal(n):
    """Thomas algorithm: one loop forward, one back over stored values."""
    rng = random.Random(0)
    d = [ag.Parameter(4 + rng.random()) for _ in range(n)]
    f = [ag.Parameter(rng.gauss(0, 1)) for _ in range(n)]
    c, y = [1.0 / d[0]], [f[0] / d[0]]
    for i in range(1, n):
        m = d[i] - c[-1]
        c.append(1.0 / m)
        y.append((f[i] - y[-1]) / m)
    x = y[-1]
    out = x * x
    for i in range(n - 2, -1, -1):
        x = y[i] - c[i] * x
        out = out + x * x
    return out, []


def minibatch(T, B=8, H=4):
    """Eight sequences of one length unrolled in one graph."""
    rng = random.Random(0)
    P = gaussian(rng, 0.3)
    U, w, b, V = [P(H) for _ in range(H)], P(H), P(H), P(H)
    loss = 0.0
    for _s in range(B):
        h = [0.0] * H
        for _t in range(T):
            x = ag.Value(rng.gauss(0, 1))
            h = [ag.tanh(w[i] * x + ag.dot(U[i], h) + b[i]) for i in range(H)]
        loss = loss + ag.dot(V, h) ** 2
    return loss, []


def shared_state(T):
    """The initial state is a parameter that the body uses too."""
    w = ag.Parameter(0.5)
    x = w
    for _t in range(T):
        x = ag.sin(x * w) + w
    return x, []


def max_pool(T):
    x, w = ag.Parameter(0.4), ag.Parameter(1.3)
    m = x
    for _t in range(T):
        x = ag.sin(w * x + 0.3)
        m = ag.maximum(m, x)
    return m + x, []


def dense_layers(T, H=5):
    rng = random.Random(0)
    P = gaussian(rng, 0.5)
    h = [ag.Value(rng.gauss(0, 1)) for _ in range(H)]
    for _ in range(T):
        W, b = [P(H) for _ in range(H)], P(H)
        h = [a + ag.tanh(ag.dot(W[i], h) + b[i]) for i, a in zip(range(H), h, strict=True)]
    return ag.dot(h, h), []


def heat(T, n=12):
    """Explicit heat equation: neighbours' lanes, borders of another kind."""
    k = ag.Parameter(0.2)
    u = [ag.Parameter(math.sin(i)) for i in range(n)]
    for _t in range(T):
        u = [u[0]] + [u[i] + k * (u[i - 1] - 2 * u[i] + u[i + 1]) for i in range(1, n - 1)] + [u[-1]]
    return ag.dot(u, u), []


def lorenz96(T, n=8):
    F, h = ag.Parameter(8.0), 0.01
    x = [ag.Parameter(8.0 + 0.01 * i) for i in range(n)]

    def f(*x):
        return [(x[(i + 1) % n] - x[i - 2]) * x[i - 1] - x[i] + F for i in range(n)]

    for _ in range(T):
        x = runge_kutta(f, x, h)
    return ag.dot(x, x), []


FOUND = {
    sir: (150, [(59, 40), (59, 29)]),
    orbit: (179, [(58, 27), (58, 24)]),
    logistic: (12, [(60, 4), (60, 3)]),
    garch: (33, [(58, 2), (58, 1)]),
    kalman: (104, [(58, 16), (58, 6), (58, 3), (58, 10)]),
    rnn: (18, [(60, 3), (60, 2)]),
    rnn2: (25, [(60, 3), (60, 3), (60, 2), (60, 2)]),
    rnn_last: (18, [(60, 3), (60, 2)]),
    lstm: (28, [(60, 8), (60, 6)]),
    hmm: (65, [(58, 8), (58, 2)]),
    horner: (7, [(59, 2), (59, 1)]),
    running: (16, [(59, 2), (59, 1)]),
    gd: (40, [(60, 14), (60, 11)]),
    newton: (106, [(59, 23), (59, 19)]),
    where: (30, [(60, 9), (60, 3), (60, 3)]),
    fibonacci: (9, [(60, 3), (60, 1)]),
    adam: (69, [(59, 16), (59, 10)]),
    lengths: (72, [(53, 3), (53, 2)]),
    interleaved: (36, [(60, 4), (59, 7), (59, 6), (60, 2)]),
    alternating: (16, [(30, 5), (30, 4)]),
    thinned: (79, [(56, 4), (56, 2)]),
    irregular_obs: (58, [(54, 4), (54, 2)]),
    multistep: (171, [(27, 34), (27, 16)]),
    two_phases: (38, [(29, 4), (30, 9), (30, 6), (29, 3)]),
    bidirectional: (17, [(60, 3), (60, 2)]),
    decoder: (49, [(59, 10), (59, 7)]),
    nested: (240, [(59, 77), (59, 64)]),
    cholesky: (190, []),
    tridiagonal: (30, [(59, 3), (59, 3), (59, 3), (59, 2), (59, 2), (59, 2)]),
    minibatch: (20, [(59, 3), (59, 2)]),
    shared_state: (11, [(60, 4), (60, 2)]),
    max_pool: (18, [(60, 3), (60, 2), (60, 1), (60, 2)]),
    dense_layers: (12, [(60, 4), (60, 2)]),
    heat: (94, [(60, 50), (60, 30)]),
    lorenz96: (38, [(60, 21), (60, 12)]),
    attention_cache: (None, []),
}
"""Of each with 60 steps: how many instructions the program has, gradient included, and its loops (steps, instructions).

No loop: a body that depends on its step (cholesky, attention_cache).
"""
