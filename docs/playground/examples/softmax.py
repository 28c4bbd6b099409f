# The gradient of cross entropy in a logit is probability minus target. Along which paths does it come?
import autograd_lite as ag

logits = [ag.Parameter(z, name=f"z_{i}") for i, z in enumerate([2.0, 1.0, -1.0])]
exps = [ag.exp(z) for z in logits]
total = exps[0] + exps[1] + exps[2]
p0 = exps[0] / total
loss = -ag.log(p0)
loss.backward()

print("probability of class 0:", p0.data)
print("dloss/dz0 =", logits[0].grad, "= p0 - 1")
