"""What may be in ``.pte`` files, and what XNNPACK's part of them holds."""

from __future__ import annotations

from edgekit.runtime.contents.allowed.words import names

#: ``.pte``: ExecuTorch's own kernels by the kinds of value that they take, outputs and results last (letters: see
#: `edgekit.runtime.contents.pte`). Without a namespace: ``aten``. Not here: what reads or gives memory by numbers in
#: the file alone (``as_strided_copy``, ``empty``), what copies to other devices, and what trains.
PTE = """
ASTT: full.out
ATT: ones.out rand.out randn.out zeros.out
III: executorch_prim::floordiv.int executorch_prim::mod.int
LITT: cat.out stack.out
SB: executorch_prim::sym_not.Scalar
SS: executorch_prim::ceil.Scalar executorch_prim::neg.Scalar executorch_prim::round.Scalar
    executorch_prim::sym_float.Scalar executorch_prim::sym_int.Scalar executorch_prim::trunc.Scalar
SSS: executorch_prim::add.Scalar executorch_prim::eq.Scalar executorch_prim::floordiv.Scalar
    executorch_prim::ge.Scalar executorch_prim::gt.Scalar executorch_prim::le.Scalar executorch_prim::lt.Scalar
    executorch_prim::mod.Scalar executorch_prim::mul.Scalar executorch_prim::sub.Scalar
    executorch_prim::sym_max.Scalar executorch_prim::sym_min.Scalar executorch_prim::truediv.Scalar
SSSS: executorch_prim::sym_ite.Scalar
SSSTT: arange.start_out
STT: arange.out scalar_tensor.out
STTT: pow.Scalar_out
TAAAABTTL: max_pool2d_with_indices.out
TAAABBiTT: avg_pool2d.out
TAATT: roll.out
TABTT: amax.out amin.out expand_copy.out
TABddTT: _upsample_bilinear2d_aa.out
TAIBTT: _fft_r2c.out
TAIITT: _fft_c2r.out
TAILL: split_with_sizes_copy.out
TASTT: constant_pad_nd.out
TAT: executorch_prim::et_view.default
TATT: _adaptive_avg_pool2d.out flip.out permute_copy.out reflection_pad1d.out reflection_pad2d.out
    reflection_pad3d.out repeat.out replication_pad1d.out replication_pad2d.out replication_pad3d.out
    squeeze_copy.dims_out view_copy.out
TAttDTTTL: native_layer_norm.out
TBaTT: dim_order_ops::_clone_dim_order.out dim_order_ops::_to_dim_order_copy.out
TBiTT: _to_copy.out
TDIIIITT: quantized_decomposed::quantize_per_tensor.out
TDIIIIiTT: quantized_decomposed::dequantize_per_tensor.out
TDIIITDIIIDIIITT: quantized_decomposed::add.out
TDTT: _pdist_forward.out
TDbTTL: native_dropout.out
TI: sym_numel
TIBTT: _log_softmax.out _softmax.out any.out
TIBTTL: max.dim_max min.dim_min
TIBiTT: prod.int_out
TII: sym_size.int
TIIBBTTL: topk.values
TIIDITTL: quantized_decomposed::choose_qparams.Tensor_out
TIIITT: diagonal_copy.out narrow_copy.out unfold_copy.out
TIILL: split_copy.Tensor_out
TIITT: select_copy.int_out transpose_copy.int_out
TILL: unbind_copy.int_out
TITBTT: gather.out
TITSTT: scatter.value_out
TITT: glu.out pixel_shuffle.out pixel_unshuffle.out squeeze_copy.dim_out tril.out unsqueeze_copy.out
TITTL: quantized_decomposed::choose_qparams_per_token_asymmetric.out
TITTT: index_select.out
TITTTT: scatter.src_out scatter_add.out
TIiTT: cumsum.out
TIiiITT: slice_copy.Tensor_out
TS: _local_scalar_dense
TSSSTT: elu.out
TSSTT: add.Scalar_out hardtanh.out rsub.Scalar_out sub.Scalar_out
TSTT: bitwise_and.Scalar_out bitwise_left_shift.Tensor_Scalar_out bitwise_or.Scalar_out
    bitwise_right_shift.Tensor_Scalar_out bitwise_xor.Scalar_out div.Scalar_out eq.Scalar_out fill.Scalar_out
    fmod.Scalar_out ge.Scalar_out gt.Scalar_out le.Scalar_out leaky_relu.out lt.Scalar_out mul.Scalar_out
    ne.Scalar_out pow.Tensor_Scalar_out remainder.Scalar_out
TSiTT: full_like.out
TSzTT: div.Scalar_mode_out
TTBT: copy_
TTBTT: copy.out
TTDiTT: _cdist_forward.out
TTIBBTT: embedding.out
TTIIBTT: grid_sampler_2d.out
TTIITT: select_scatter.out
TTIiiITT: slice_scatter.out
TTSTT: add.out masked_fill.Scalar_out sub.out
TTT: _conj_physical.out abs.out acos.out acosh.out alias_copy.out any.all_out asin.out asinh.out atan.out atanh.out
    bitwise_not.out ceil.out cos.out cosh.out detach_copy.out erf.out exp.out expm1.out floor.out isinf.out
    isnan.out lift_fresh_copy.out log.out log10.out log1p.out log2.out logical_not.out max.unary_out min.unary_out
    neg.out nonzero.out reciprocal.out relu.out round.out rsqrt.out sigmoid.out sign.out sin.out sinh.out sqrt.out
    t_copy.out tan.out tanh.out trunc.out view_as_real_copy.out
TTTIIIITT: quantized_decomposed::dequantize_per_token.out quantized_decomposed::quantize_per_channel.out
TTTIIITT: quantized_decomposed::quantize_per_tensor.Tensor_out quantized_decomposed::quantize_per_token.out
TTTIIIiTT: quantized_decomposed::dequantize_per_tensor.Tensor_out
TTTSSTT: addmm.out
TTTT: atan2.out bitwise_and.Tensor_out bitwise_left_shift.Tensor_out bitwise_or.Tensor_out
    bitwise_right_shift.Tensor_out bitwise_xor.Tensor_out bmm.out div.out eq.Tensor_out fill.Tensor_out
    floor_divide.out fmod.Tensor_out ge.Tensor_out gt.Tensor_out le.Tensor_out logical_and.out logical_or.out
    logical_xor.out lt.Tensor_out masked_select.out maximum.out minimum.out mm.out mul.out ne.Tensor_out
    pow.Tensor_Tensor_out remainder.Tensor_out
TTTTT: masked_scatter.out where.self_out
TTTtTT: quantized_decomposed::mixed_mm.out
TTTtiTT: quantized_decomposed::mixed_linear.out
TTtAAABAITT: convolution.out
TTtIIIIiTT: quantized_decomposed::dequantize_per_channel.out
TTtIITTT: quantized_decomposed::embedding_2bit.out quantized_decomposed::embedding_4bit.out
    quantized_decomposed::embedding_byte.out
TTtIITiTT: quantized_decomposed::embedding_2bit.dtype_out quantized_decomposed::embedding_4bit.dtype_out
    quantized_decomposed::embedding_byte.dtype_out
TTtTT: linear.out
TTzTT: div.out_mode
TZTT: gelu.out
TaBBTT: var.out
TaBTT: any.dims_out
TaBfTT: upsample_bilinear2d.vec_out
TaBiTT: mean.out sum.IntList_out
TafTT: upsample_nearest2d.vec_out
TasBTT: var.correction_out
TasBTTL: var_mean.correction_out
TdTT: logit.out
TiBTT: argmax.out argmin.out
TiTT: clone.out mean.dtype_out prod.out repeat_interleave.Tensor_out
TlTBT: index_put_
TlTBTT: index_put.out
TlTT: index.Tensor_out
TssTT: clamp.out
TttBDDTTTL: _native_batch_norm_legit.no_stats_out
TttIIIIDTTTL: native_group_norm.out
TttTT: clamp.Tensor_out
TttTTBDDTTTL: _native_batch_norm_legit.out
TttTTDDTTTL: _native_batch_norm_legit_no_training.out
"""

#: Backends that parts of a ``.pte`` may be for.
PTE_BACKENDS = names("CoreMLBackend VulkanBackend XnnpackBackend")

#: XNNPACK's nodes in a ``.pte``.
XNNPACK = names("""
XNNAdd XNNFullyConnected XNNSoftmax XNNSigmoid XNNStaticTranspose XNNClamp XNNConv2d XNNDiv
XNNStaticResizeBilinear2D XNNStaticConstantPad XNNAvgPooling2d XNNMinimum XNNDepthwiseConv2d XNNMaxPooling2d
XNNMultiply XNNSubtract XNNFloor XNNConvert XNNGlobalAvgPooling2d XNNStaticReshape XNNArgMaxPooling2d XNNSquareRoot
XNNCeiling XNNHardswish XNNLeakyReLU XNNMaximum XNNNegate XNNSquare XNNELU XNNAbs XNNPReLU XNNConcatenate2
XNNConcatenate3 XNNConcatenate4 XNNStaticSlice XNNScaledDotProductAttention XNNBatchMatrixMultiply XNNConcatenate5
XNNConvTranspose2d XNNReciprocalSquareRoot XNNLog XNNGelu XNNTanh XNNExp XNNSin XNNCopy XNNCos
""")
