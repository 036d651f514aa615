"""What model files may hold: the one table of it, format by format.

An allow-list of what edgekit's own exporters and honest converters emit: data, and operators that compute tensors from
tensors. What is not here is refused by name, whatever it would do.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(_ordered(text))


def _ordered(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: ``.tflite``: LiteRT's operators in the order of their numbers. Those with a dash are none that compute: a place for
#: delegates and for greater numbers, calls of whatever the program around registered, and one that LiteRT lacks.
TFLITE_NUMBERED = _ordered("""
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION
LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH
CONCAT_EMBEDDINGS SKIP_GRAM -CALL -CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX -DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM
ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND
COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
-PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE
HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE
BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE
STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
-STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE
STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA
STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE
DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT
STABLEHLO_CASE
""")
#: Custom operators that LiteRT itself brings.
TFLITE_CUSTOM = _names("AudioSpectrogram Mfcc NumericVerify TFLite_Detection_PostProcess")

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
PTE_BACKENDS = _names("CoreMLBackend VulkanBackend XnnpackBackend")
#: XNNPACK's nodes in a ``.pte``.
XNNPACK = _names("""
XNNAdd XNNFullyConnected XNNSoftmax XNNSigmoid XNNStaticTranspose XNNClamp XNNConv2d XNNDiv
XNNStaticResizeBilinear2D XNNStaticConstantPad XNNAvgPooling2d XNNMinimum XNNDepthwiseConv2d XNNMaxPooling2d
XNNMultiply XNNSubtract XNNFloor XNNConvert XNNGlobalAvgPooling2d XNNStaticReshape XNNArgMaxPooling2d XNNSquareRoot
XNNCeiling XNNHardswish XNNLeakyReLU XNNMaximum XNNNegate XNNSquare XNNELU XNNAbs XNNPReLU XNNConcatenate2
XNNConcatenate3 XNNConcatenate4 XNNStaticSlice XNNScaledDotProductAttention XNNBatchMatrixMultiply XNNConcatenate5
XNNConvTranspose2d XNNReciprocalSquareRoot XNNLog XNNGelu XNNTanh XNNExp XNNSin XNNCopy XNNCos
""")

#: ATen's operators that compute tensors from tensors, for ``.pt2`` and ``.ptl``; each stands for its form that works in
#: place, too (``add_``). Not here: what reads files or shares memory with them (``from_file``), what takes memory by
#: numbers in the file (``as_strided``, ``set_``, ``resize_``, ``*_unsafe``), what is for other devices, and gradients.
ATEN = _names("""
_adaptive_avg_pool2d _adaptive_avg_pool3d _add_relu _addmm_activation _aminmax _assert_async _assert_scalar
_assert_tensor_metadata _cdist_forward _conj_copy _convolution _convolution_mode _embedding_bag
_embedding_bag_forward_only _euclidean_dist _fft_c2c _fft_c2r _fft_r2c _infer_size _is_all_true _is_any_true
_local_scalar_dense _log_softmax _make_per_tensor_quantized_tensor _masked_softmax _native_batch_norm_legit
_native_batch_norm_legit_no_training _native_multi_head_attention _pad_circular _pad_enum _reshape_from_tensor
_safe_softmax _scaled_dot_product_attention_math _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy
_transformer_encoder_layer_fwd _trilinear _unique _unique2 _unsafe_index _unsafe_view _upsample_bicubic2d_aa
_upsample_bilinear2d_aa _upsample_lanczos2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d
_upsample_nearest_exact3d _weight_norm abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm
addmv addr adjoint affine_grid_generator alias alias_copy all allclose alpha_dropout amax amin aminmax angle any
arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_tensor asin asinh atan
atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm bartlett_window batch_norm
bernoulli bilinear binary_cross_entropy binary_cross_entropy_with_logits bincount binomial bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman_window block_diag bmm
broadcast_tensors broadcast_to bucketize can_cast cartesian_prod cat cdist ceil celu chain_matmul chalf
channel_shuffle cholesky_inverse chunk clamp clamp_max clamp_min clip clone col2im complex concat concatenate conj
conj_physical constant_pad_nd contiguous conv1d conv2d conv3d conv_depthwise3d conv_tbc conv_transpose1d
conv_transpose2d conv_transpose3d convolution copy copysign corrcoef cos cosh cosine_embedding_loss
cosine_similarity count_nonzero cov cross cross_entropy_loss ctc_loss cummax cummin cumprod cumsum
cumulative_trapezoid deg2rad dequantize det detach detach_copy diag diag_embed diagflat diagonal diagonal_copy
diagonal_scatter diff digamma dim dist div divide dot dropout dsplit dstack einsum elu embedding embedding_bag empty
empty_like empty_permuted eq equal erf erfc erfinv exp exp2 expand expand_as expand_copy expm1 exponential eye
fake_quantize_per_channel_affine fake_quantize_per_tensor_affine feature_alpha_dropout feature_dropout fft_fft
fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ifftshift
fft_ihfft fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn fill
fill_diagonal_ fix flatten flip fliplr flipud float_power floor floor_divide floordiv fmax fmin fmod frac
fractional_max_pool2d fractional_max_pool3d frexp frobenius_norm full full_like gather gcd ge gelu geometric ger glu
greater greater_equal grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell gt hamming_window
hann_window hardshrink hardsigmoid hardswish hardtanh heaviside hinge_embedding_loss histc histogram histogramdd
hsplit hstack huber_loss hypot i0 igamma igammac im2col imag index index_add index_copy index_fill index_put
index_reduce index_select inner instance_norm int_repr inverse is_complex is_contiguous is_floating_point is_neg
is_non_overlapping_and_dense is_nonzero is_signed isclose isfinite isin isinf isnan isneginf isposinf isreal istft
item kaiser_window kl_div kron kthvalue l1_loss layer_norm lcm ldexp le leaky_relu lerp less less_equal lgamma lift
lift_fresh lift_fresh_copy linalg__powsum linalg_cholesky linalg_cholesky_ex linalg_cond linalg_cross linalg_det
linalg_diagonal linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv
linalg_inv_ex linalg_ldl_factor linalg_ldl_factor_ex linalg_ldl_solve linalg_lstsq linalg_lu linalg_lu_factor
linalg_lu_factor_ex linalg_lu_solve linalg_matmul linalg_matrix_exp linalg_matrix_norm linalg_matrix_power
linalg_matrix_rank linalg_multi_dot linalg_norm linalg_pinv linalg_qr linalg_slogdet linalg_solve linalg_solve_ex
linalg_solve_triangular linalg_svd linalg_svdvals linalg_tensorinv linalg_tensorsolve linalg_vander linalg_vecdot
linalg_vector_norm linear linspace log log10 log1p log2 log_normal log_sigmoid log_sigmoid_forward log_softmax
logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or logical_xor logit logspace logsumexp
lstm lstm_cell lt lu_solve lu_unpack mH mT margin_ranking_loss masked_fill masked_scatter masked_select matmul
matrix_H matrix_exp matrix_power max max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices
max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d maximum mean median meshgrid min minimum mish mm mode
modf moveaxis movedim mse_loss msort mul multi_margin_loss multilabel_margin_loss multilabel_margin_loss_forward
multinomial multiply mv mvlgamma nan_to_num nanmean nanmedian nanquantile nansum narrow narrow_copy
native_batch_norm native_channel_shuffle native_dropout native_group_norm native_layer_norm native_norm ne neg
negative new_empty new_full new_ones new_zeros nextafter nll_loss nll_loss2d nll_loss2d_forward nll_loss_forward
nll_loss_nd nonzero nonzero_numpy nonzero_static norm norm_except_dim normal not_equal nuclear_norm numel one_hot
ones ones_like outer pad pad_sequence pairwise_distance pdist permute permute_copy pinverse pixel_shuffle
pixel_unshuffle poisson polar polygamma positive pow prelu prod promote_types q_scale q_zero_point quantile
quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic rad2deg rand rand_like randint randint_like
randn randn_like randperm range ravel real reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu relu6
remainder renorm repeat repeat_interleave replication_pad1d replication_pad2d replication_pad3d reshape reshape_as
resolve_neg result_type rms_norm rnn_relu rnn_tanh rnn_tanh_cell roll rot90 round rrelu rsqrt rsub scalar_tensor
scaled_dot_product_attention scatter scatter_add scatter_reduce searchsorted select select_copy select_scatter selu
sgn sigmoid sign signbit silu sin sinc sinh size slice slice_copy slice_scatter slogdet smooth_l1_loss
soft_margin_loss softmax softplus softshrink sort special_airy_ai special_bessel_j0 special_bessel_j1
special_bessel_y0 special_bessel_y1 special_chebyshev_polynomial_t special_chebyshev_polynomial_u
special_chebyshev_polynomial_v special_chebyshev_polynomial_w special_digamma special_entr special_erf special_erfc
special_erfcx special_erfinv special_exp2 special_expit special_expm1 special_gammainc special_gammaincc
special_gammaln special_hermite_polynomial_h special_hermite_polynomial_he special_i0 special_i0e special_i1
special_i1e special_laguerre_polynomial_l special_legendre_polynomial_p special_log1p special_log_ndtr
special_log_softmax special_logit special_logsumexp special_modified_bessel_i0 special_modified_bessel_i1
special_modified_bessel_k0 special_modified_bessel_k1 special_multigammaln special_ndtr special_ndtri
special_polygamma special_psi special_round special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1
special_shifted_chebyshev_polynomial_t special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v
special_shifted_chebyshev_polynomial_w special_sinc special_softmax special_spherical_bessel_j0 special_xlog1py
special_xlogy special_zeta split split_copy split_with_sizes split_with_sizes_copy sqrt square squeeze squeeze_copy
stack std std_mean stft stride sub subtract sum sum_to_size swapaxes swapdims sym_constrain_range
sym_constrain_range_for_size sym_is_contiguous sym_numel sym_size sym_stride t t_copy take take_along_dim tan tanh
tensor tensor_split tensordot threshold tile to topk trace transpose transpose_copy trapezoid trapz tril
triplet_margin_loss triu true_divide trunc type_as unbind unbind_copy unflatten unfold unfold_copy uniform
unique_consecutive unique_dim unique_dim_consecutive unsqueeze unsqueeze_copy upsample_bicubic2d upsample_bilinear2d
upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d vander var var_mean
vdot view view_as view_as_complex view_as_complex_copy view_as_real view_as_real_copy view_copy vsplit vstack where
xlogy zero zeros zeros_like
""")
#: How many results operators give that do not give one, by number: those of TorchScript leave them on a stack.
RESULTS = """
0: _assert_async _assert_async.msg _assert_scalar _assert_tensor_metadata _set_item.Tensor _set_item.bool
    _set_item.complex _set_item.float _set_item.int _set_item.str extend.t sort.Tensor sort.any sort.bool sort.float
    sort.int sort.str sym_constrain_range sym_constrain_range_for_size
2: _aminmax _aminmax.dim _native_multi_head_attention _scaled_dot_product_attention_math
    _scaled_dot_product_flash_attention_for_cpu _unique adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    aminmax cummax cummin fractional_max_pool2d fractional_max_pool3d frexp frexp.Tensor gru.data gru.input
    histogram.bin_ct histogram.bins_tensor histogramdd histogramdd.TensorList_bins histogramdd.int_bins kthvalue
    kthvalue.values linalg_cholesky_ex linalg_cholesky_ex.L linalg_eig linalg_eigh linalg_eigh.eigvals linalg_inv_ex
    linalg_inv_ex.inverse linalg_ldl_factor linalg_lu_factor linalg_qr linalg_slogdet linalg_solve_ex
    log_sigmoid_forward lstm_cell max.dim max.dim_max max_pool1d_with_indices max_pool2d_with_indices
    max_pool3d_with_indices median.dim median.dim_values min.dim min.dim_min mode mode.values modf
    multilabel_margin_loss_forward nanmedian.dim nanmedian.dim_values native_dropout nll_loss2d_forward
    nll_loss_forward quantized::conv1d_unpack quantized::conv2d_unpack quantized::conv3d_unpack
    quantized::conv_transpose1d_unpack quantized::conv_transpose2d_unpack quantized::conv_unpack
    quantized::linear_unpack quantized::linear_unpack.legacy quantized::linear_unpack_fp16
    quantized::linear_unpack_fp16.legacy quantized::quantized_lstm_cell_dynamic rnn_relu.data rnn_relu.input
    rnn_tanh.data rnn_tanh.input slogdet sort sort.stable sort.values sort.values_stable std_mean
    std_mean.correction std_mean.dim topk topk.values var_mean var_mean.correction var_mean.dim
3: _native_batch_norm_legit _native_batch_norm_legit.no_stats _native_batch_norm_legit_no_training _unique2
    linalg_ldl_factor_ex linalg_lu linalg_lu_factor_ex linalg_svd linalg_svd.U lstm.data lstm.input lu_unpack
    native_batch_norm native_group_norm native_layer_norm unique_consecutive unique_dim unique_dim_consecutive
4: _embedding_bag _embedding_bag_forward_only embedding_bag embedding_bag.padding_idx linalg_lstsq
"""
#: ``.ptl``: TorchScript's own operators besides.
SCRIPT = _names("""
aten::Bool aten::Float aten::FloatImplicit aten::Int aten::IntImplicit aten::ScalarImplicit aten::Size aten::__and__
aten::__contains__ aten::__derive_index aten::__getitem__ aten::__is__ aten::__isnot__ aten::__not__ aten::__or__
aten::__range_length aten::__round_to_zero_floordiv aten::_get_tracing_state aten::_list_to_tensor aten::_set_item
aten::_size_if_not_equal aten::_tensor_to_list aten::_unwrap_optional aten::append aten::device aten::dict
aten::extend aten::format aten::is_autocast_cpu_enabled aten::is_autocast_enabled aten::is_grad_enabled
aten::is_scripting aten::len aten::list aten::mathremainder aten::pop aten::str prim::NumToTensor prim::TupleUnpack
prim::data prim::device prim::dtype prim::is_cuda prim::is_mkldnn prim::is_nested prim::is_quantized prim::layout
prim::max prim::min prim::requires_grad prim::type prim::unchecked_cast prim::unchecked_unwrap_optional
""")
#: ``.ptl``: operators on quantized tensors, ``quantized::add`` and so on, and those of weights that are packed already.
QUANTIZED = _names("""
add add_relu add_scalar add_scalar_relu batch_norm batch_norm1d batch_norm1d_relu batch_norm2d batch_norm2d_relu
batch_norm3d batch_norm3d_relu batch_norm_relu cat cat_relu celu clamp conv1d conv1d_dynamic conv1d_prepack
conv1d_relu conv1d_unpack conv2d conv2d_add conv2d_add_relu conv2d_dilation conv2d_dynamic conv2d_groups
conv2d_output_padding conv2d_padding conv2d_prepack conv2d_relu conv2d_stride conv2d_transpose conv2d_unpack conv3d
conv3d_dynamic conv3d_prepack conv3d_relu conv3d_unpack conv_prepack conv_transpose1d conv_transpose1d_prepack
conv_transpose1d_unpack conv_transpose2d conv_transpose2d_dynamic conv_transpose2d_prepack conv_transpose2d_unpack
conv_transpose3d conv_unpack dropout elu embedding_4bit embedding_bag_4bit embedding_bag_byte embedding_byte
group_norm hardswish instance_norm layer_norm leaky_relu linear linear_dynamic linear_dynamic_fp16 linear_leaky_relu
linear_prepack linear_prepack_fp16 linear_relu linear_relu_dynamic linear_relu_dynamic_fp16 linear_tanh
linear_unpack linear_unpack_fp16 matmul max_pool1d max_pool2d mul mul_relu mul_scalar mul_scalar_relu prelu
quantized_gru_cell_dynamic quantized_lstm_cell_dynamic relu6 sigmoid softmax threshold
""")
PREPACKED = _names("prepacked::conv2d_clamp_run prepacked::conv2d_transpose_clamp_run prepacked::linear_clamp_run")
#: ``.ptl``: classes of packed weights, below ``__torch__.torch.classes``.
PTL_CLASSES = _names("""
quantized.Conv2dPackedParamsBase quantized.Conv3dPackedParamsBase quantized.EmbeddingPackedParamsBase
quantized.LinearPackedParamsBase xnnpack.Conv2dOpContext xnnpack.LinearOpContext xnnpack.TransposeConv2dOpContext
""")

#: ``.pt2``: what computes with sizes, and control flow, below ``torch.ops.higher_order``.
PT2_SIZES = _names("""
_operator.add _operator.and_ _operator.eq _operator.floordiv _operator.ge _operator.getitem _operator.gt _operator.le
_operator.lt _operator.mod _operator.mul _operator.ne _operator.neg _operator.not_ _operator.or_ _operator.pos
_operator.sub _operator.truediv math.ceil math.floor math.trunc torch.sym_float torch.sym_int torch.sym_ite
torch.sym_max torch.sym_min torch.sym_not torch.sym_sqrt torch.sym_sum
""")
PT2_CONTROL = _names("cond scan wrap_with_autocast wrap_with_set_grad_enabled while_loop")
#: ``.pt2``: operators of quantized models, below ``torch.ops.quantized_decomposed``.
PT2_QUANTIZED = _names("""
choose_qparams choose_qparams_symmetric choose_qparams_per_token choose_qparams_per_token_asymmetric
dequantize_per_channel dequantize_per_channel_group dequantize_per_tensor dequantize_per_token
quantize_per_channel quantize_per_channel_group quantize_per_tensor quantize_per_token
""")
#: ``.pt2``: containers of inputs and outputs.
PT2_TREES = _names("builtins.dict builtins.list builtins.tuple collections.OrderedDict")

#: ``.onnx``: operators by domain. Not here: what decodes pictures or runs what other programs compiled.
ONNX = {
    "": _names("""
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike
CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape
Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout
DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu
Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow
HannWindow HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization
LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max
MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Multinomial Neg
NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or
PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike
RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
ReduceMin ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize ReverseSequence RoiAlign
RotaryEmbedding Round STFT Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty
SequenceErase SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax
SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat
StringNormalizer StringSplit Sub Sum SwiGLU Swish Tan Tanh TensorScatter TfIdfVectorizer ThresholdedRelu Tile TopK
Transpose Trilu Unique Unsqueeze Upsample Where Xor
"""),
    "ai.onnx.ml": _names("""
ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder
LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble
TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
"""),
    "com.microsoft": _names("""
Attention BiasAdd BiasGelu BiasSoftmax CDist ConvTransposeWithDynamicPads CropAndResize DequantizeLinear
DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization ExpandDims FastGelu FusedConv FusedGemm
FusedMatMul GatherBlockQuantized GatherND Gelu GridSample GroupNorm GroupQueryAttention Inverse Irfft MatMulBnb4
MatMulFpQ4 MatMulInteger16 MatMulIntegerToFloat MatMulNBits MaxpoolWithMask MultiHeadAttention NGramRepeatBlock
NhwcMaxPool Pad PackedAttention QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool
QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid
QLinearSoftmax QLinearWhere QMoE QOrderedMatMul QuantizeLinear QuickGelu Range ReduceSumInteger RelativePositionBias
Rfft RotaryEmbedding SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization
SkipSimplifiedLayerNormalization SparseToDenseMatMul TransposeMatMul Trilu Unique WordConvEmbedding
"""),
}

#: ``.keras``: what may be made, by module. Not here: layers that run code or open files (``Lambda``, ``TFSMLayer``,
#: those with vocabularies, those of other frameworks), and operators that are given functions.
KERAS = {
    "keras": _names("DTypePolicy Functional Model Sequential"),
    "keras.dtype_policies": _names("DTypePolicy DTypePolicyMap"),
    "keras.src.models.functional": _names("Functional"),
    "keras.layers": _names("""
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose
ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose
Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D
Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D
GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity InputLayer LSTM LSTMCell Layer
LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D
MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute Pipeline
RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract TimeDistributed
UnitNormalization UpSampling1D UpSampling2D UpSampling3D Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""),
    "keras.initializers": _names("""
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer Initializer LecunNormal
LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal
VarianceScaling Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform
ones orthogonal random_normal random_uniform stft truncated_normal variance_scaling zeros
"""),
    "keras.regularizers": _names("""
L1 L1L2 L2 OrthogonalRegularizer Regularizer l1 l1_l2 l2 orthogonal_regularizer
"""),
    "keras.constraints": _names("""
Constraint MaxNorm MinMaxNorm NonNeg UnitNorm max_norm min_max_norm non_neg unit_norm
"""),
    "keras.src.ops.core": _names("""
Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient Unstack
"""),
    "keras.src.ops.image": _names("""
AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages
PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges
"""),
    "keras.src.ops.linalg": _names("""
Cholesky CholeskyInverse Det Eig Eigh Inv JVP Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve SolveTriangular
"""),
    "keras.src.ops.math": _names("""
CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp RFFT Rsqrt STFT SegmentMax
SegmentMin SegmentProd SegmentReduction SegmentSum TopK ViewAsComplex ViewAsReal
"""),
    "keras.src.ops.nn": _names("""
AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode CTCLoss
CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu Fold Gelu Glu
HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot
Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign
SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold
"""),
    "keras.src.ops.numpy": _names("""
Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh
Argmax Argmin Argpartition Argsort Array ArraySplit Average Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift
BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate Conj Conjugate Copy
Corrcoef Correlate Cos Cosh CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Diff Digitize Divide
DivideNoNan Dot Dsplit Dstack Einsum EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor
FloorDivide Fmax Fmin Fmod Full FullLike Gcd Geomspace GetItem Greater GreaterEqual Heaviside Histogram Hsplit
Hstack Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal Kron Lcm Ldexp LeftShift Less
LessEqual Linspace Log Log10 Log1p Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor Logspace
Matmul Max Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum Nanargmax Nanargmin Nancumprod
Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative
Nextafter Nonzero NotEqual OnesLike Outer Pad Percentile Power Prod Ptp Quantile Rad2deg Ravel Real Reciprocal
Repeat Reshape RightShift Roll Rot90 Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split
Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose
Trapezoid Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View Vsplit Vstack Where ZerosLike
"""),
}
#: ``.keras``: plain values that JSON has no words for, and where Keras looks for functions by name: among its own.
KERAS_VALUES = _names("__ellipsis__ __keras_tensor__ __numpy__ __slice__ __tensor__")
KERAS_FUNCTIONS = _names("builtins keras.activations")

#: SavedModel: TensorFlow's operators that compute tensors from tensors, with variables, control flow and calls. Not
#: here: what reads or writes files (some by an attribute), calls Python, decodes, queues, or talks to others; lookup
#: tables, which are filled from files; and programs of XLA, which are not read here.
SAVED_MODEL = _names("""
Abs AccumulateNV2 Acos Acosh Add AddN AddV2 AdjustContrast AdjustContrastv2 AdjustHue AdjustSaturation All Angle Any
ApproxTopK ApproximateEqual ArgMax ArgMin AsString Asin Asinh Assert Assign AssignAdd AssignAddVariableOp AssignSub
AssignSubVariableOp AssignVariableOp Atan Atan2 Atanh AudioSpectrogram AvgPool AvgPool3D BandedTriangularSolve
BatchCholesky BatchFFT BatchFFT2D BatchFFT3D BatchIFFT BatchIFFT2D BatchIFFT3D BatchMatMul BatchMatMulV2
BatchMatMulV3 BatchMatrixBandPart BatchMatrixDeterminant BatchMatrixDiag BatchMatrixDiagPart BatchMatrixInverse
BatchMatrixSetDiag BatchMatrixSolve BatchMatrixSolveLs BatchMatrixTriangularSolve BatchNormWithGlobalNormalization
BatchSelfAdjointEig BatchSelfAdjointEigV2 BatchSvd BatchToSpace BatchToSpaceND BesselI0 BesselI0e BesselI1 BesselI1e
BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e BesselY0 BesselY1 Betainc BiasAdd BiasAddV1 Bincount Bitcast
BitwiseAnd BitwiseOr BitwiseXor BlockLSTM BlockLSTMV2 BroadcastArgs BroadcastTo Bucketize CTCLoss CTCLossV2 Case
Cast Ceil CheckNumerics CheckNumericsV2 Cholesky ClipByValue CombinedNonMaxSuppression Complex ComplexAbs Concat
ConcatOffset ConcatV2 Conj ConjugateTranspose Const Conv Conv2D Conv2DBackpropFilter Conv2DBackpropFilterV2
Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D Conv3DBackpropFilter Conv3DBackpropFilterV2 Conv3DBackpropInput
Conv3DBackpropInputV2 Cos Cosh CropAndResize Cumprod Cumsum CumulativeLogsumexp DataFormatDimMap
DataFormatVecPermute Dawsn DenseBincount DenseToDenseSetOperation DepthToSpace DepthwiseConv2dNative
DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput Dequantize Diag DiagPart Digamma Dilation2D
Dilation2DBackpropFilter Dilation2DBackpropInput DisableCopyOnRead Div DivNoNan DrawBoundingBoxes
DrawBoundingBoxesV2 DynamicPartition DynamicStitch EditDistance Eig Einsum Elu Empty EmptyTensorList EnsureShape
Enter Equal Erf Erfc Erfinv EuclideanNorm Exit Exp ExpandDims Expint Expm1 ExtractGlimpse ExtractGlimpseV2
ExtractImagePatches ExtractVolumePatches FFT FFT2D FFT3D FFTND FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod FresnelCos FresnelSin FusedBatchNorm FusedBatchNormV2
FusedBatchNormV3 FusedPadConv2D FusedResizeAndPadConv2D GRUBlockCell Gather GatherNd GatherV2
GenerateBoundingBoxProposals Greater GreaterEqual GuaranteeConst HSVToRGB HistogramFixedWidth IFFT IFFT2D IFFT3D
IFFTND IRFFT IRFFT2D IRFFT3D IRFFTND Identity IdentityN If Igamma Igammac Imag ImageProjectiveTransformV2
ImageProjectiveTransformV3 InTopK InTopKV2 Inv Invert InvertPermutation IsFinite IsInf IsNan IsVariableInitialized
KthOrderStatistic L2Loss LRN LSTMBlockCell LeakyRelu LeftShift Less LessEqual Lgamma LinSpace ListDiff Log Log1p
LogMatrixDeterminant LogSoftmax LogicalAnd LogicalNot LogicalOr LoopCond LowerBound Lu MatMul MatrixBandPart
MatrixDeterminant MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3
MatrixExponential MatrixInverse MatrixLogarithm MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixSolve
MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Max MaxPool MaxPool3D MaxPoolV2 MaxPoolWithArgmax Maximum Mean
Merge Mfcc Min Minimum MirrorPad Mod Mul MulNoNan Multinomial Ndtri NearestNeighbors Neg NextAfter NextIteration
NoOp NonDeterministicInts NonMaxSuppression NonMaxSuppressionV2 NonMaxSuppressionV3 NonMaxSuppressionV4
NonMaxSuppressionV5 NonMaxSuppressionWithOverlaps NotEqual NthElement OneHot OnesLike Pack Pad PadV2
ParallelDynamicStitch ParameterizedTruncatedNormal PartitionedCall Placeholder PlaceholderV2 PlaceholderWithDefault
Polygamma PopulationCount Pow PreventGradient Print PrintV2 Prod Qr QuantizeAndDequantize QuantizeAndDequantizeV2
QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeDownAndShrinkRange QuantizeV2 QuantizedAdd QuantizedAvgPool
QuantizedBatchNormWithGlobalNormalization QuantizedBiasAdd QuantizedConcat QuantizedConcatV2 QuantizedConv2D
QuantizedInstanceNorm QuantizedMatMul QuantizedMaxPool QuantizedMul QuantizedRelu QuantizedRelu6 QuantizedReluX
QuantizedReshape QuantizedResizeBilinear RFFT RFFT2D RFFT3D RFFTND RGBToHSV RandomCrop RandomGamma
RandomIndexShuffle RandomPoisson RandomPoissonV2 RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt
Range Rank ReadVariableOp Real RealDiv Reciprocal ReduceJoin RefEnter RefExit RefIdentity RefMerge RefNextIteration
RefSwitch RegexFullMatch RegexReplace Relu Relu6 RequantizationRange RequantizationRangePerChannel Requantize
RequantizePerChannel Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ResourceGather
ResourceGatherNd ResourceScatterAdd ResourceScatterUpdate Reverse ReverseSequence ReverseV2 RightShift Rint
RngReadAndSkip RngSkip Roll Round Rsqrt SampleDistortedBoundingBox SampleDistortedBoundingBoxV2 ScaleAndTranslate
ScatterAdd ScatterDiv ScatterMax ScatterMin ScatterMul ScatterNd ScatterNdAdd ScatterNdMax ScatterNdMin
ScatterNdNonAliasingAdd ScatterNdSub ScatterNdUpdate ScatterSub ScatterUpdate SegmentMax SegmentMaxV2 SegmentMean
SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 SegmentSum SegmentSumV2 Select SelectV2 SelfAdjointEig
SelfAdjointEigV2 Selu SetSize Shape ShapeN Sigmoid Sign Sin Sinh Size Slice SobolSample Softmax Softplus Softsign
SpaceToBatchND SpaceToDepth SparseFillEmptyRows SparseReshape SparseSegmentMean SparseSegmentSqrtN SparseSegmentSum
SparseSlice SparseTensorDenseMatMul SparseToDense Spence Split SplitV Sqrt Square SquaredDifference Squeeze Stack
StatefulPartitionedCall StatefulRandomBinomial StatefulStandardNormal StatefulStandardNormalV2
StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt StatefulUniformInt StatelessCase StatelessIf
StatelessMultinomial StatelessParameterizedTruncatedNormal StatelessRandomBinomial StatelessRandomGammaV2
StatelessRandomGammaV3 StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg
StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomPoisson StatelessRandomUniform
StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
StatelessRandomUniformV2 StatelessSampleDistortedBoundingBox StatelessShuffle StatelessTruncatedNormal
StatelessTruncatedNormalV2 StatelessWhile StaticRegexFullMatch StaticRegexReplace StopGradient StridedSlice
StridedSliceAssign StringFormat StringJoin StringLength StringLower StringNGrams StringSplit StringSplitV2
StringStrip StringToHashBucket StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Sub Substr
Sum Svd Switch Tan Tanh TensorArray TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3 TensorArrayReadV3
TensorArrayScatterV3 TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 TensorListConcat
TensorListConcatLists TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather
TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve TensorListResize
TensorListScatter TensorListScatterIntoExistingList TensorListScatterV2 TensorListSetItem TensorListSplit
TensorListStack TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
TensorStridedSliceUpdate Tile ToBool TopK TopKUnique TopKV2 TopKWithUnique Transpose TridiagonalMatMul
TridiagonalSolve TruncateDiv TruncateMod TruncatedNormal UnicodeScript UnicodeTranscode UniformDequantize
UniformQuantize UniformRequantize Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 Unpack UnravelIndex
UnsortedSegmentJoin UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum UpperBound
VarHandleOp VarIsInitializedOp Variable VariableShape VariableV2 Where While Xdivy Xlog1py Xlogy ZerosLike Zeta
""")
#: SavedModel: what writes and reads checkpoints, for the functions that TensorFlow itself puts in for that.
SAVED_MODEL_READS = _names("RestoreV2")
SAVED_MODEL_WRITES = _names("MergeV2Checkpoints SaveV2 ShardedFilename")

#: Files of weights of PyTorch: what their pickles may name besides storages and tensors.
STATE_DICT = _names("""
collections.Counter collections.OrderedDict torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state
torch.nn.parameter.Parameter torch.serialization._get_layout
torch.bfloat16 torch.bool torch.complex128 torch.complex64 torch.float16 torch.float32 torch.float64
torch.float8_e4m3fn torch.float8_e5m2 torch.int16 torch.int32 torch.int64 torch.int8 torch.qint32 torch.qint8
torch.quint8 torch.uint16 torch.uint32 torch.uint64 torch.uint8 torch.strided torch.per_tensor_affine
torch.per_channel_affine torch.Size torch.device
""")
