# Growth that is limited, by Runge-Kutta; the sensitivity to the rate, through eight steps. The picture folds the loop.
import autograd_lite as ag

rate = ag.Parameter(1.2, name="rate")
dt = 0.25


def slope(p):
    return rate * p * (1 - p)


p = ag.Value(0.1, name="p_0")
for _ in range(8):
    k1 = slope(p)
    k2 = slope(p + 0.5 * dt * k1)
    k3 = slope(p + 0.5 * dt * k2)
    k4 = slope(p + dt * k3)
    p = p + (dt / 6) * (k1 + 2 * k2 + 2 * k3 + k4)

p.backward()
print("p(2) =", p.data)
print("dp(2)/drate =", rate.grad)
