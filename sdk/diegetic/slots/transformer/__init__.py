"""The transformer for many sessions at once, in few launches.

What `diegetic.model.dit` computes, arranged for a graph that is replayed: weights in one dtype, and
all that only depends on time, guidance and conditioning made for all evaluations at once. Sums,
norms and softmax are float32 whatever the dtype of the weights; so is the residual stream.

    plain   torch's own kernels
    fused   those of `diegetic_kernels`

Which of them runs is decided once, when an engine is opened: see `kernels`.
"""
