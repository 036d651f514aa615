"""What may be in PyTorch's files: ``.ptl``, ``.pt2`` and weights."""

from __future__ import annotations

from edgekit.runtime.contents.allowed.words import names

#: ATen's operators that compute tensors from tensors, for ``.pt2`` and ``.ptl``; each stands for its form that works in
#: place, too (``add_``). Not here: what reads files or shares memory with them (``from_file``), what takes memory by
#: numbers in the file (``as_strided``, ``set_``, ``resize_``, ``*_unsafe``), what is for other devices, and gradients.
ATEN = names("""
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
SCRIPT = names("""
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
QUANTIZED = names("""
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

PREPACKED = names("prepacked::conv2d_clamp_run prepacked::conv2d_transpose_clamp_run prepacked::linear_clamp_run")

#: ``.ptl``: classes of packed weights, below ``__torch__.torch.classes``.
PTL_CLASSES = names("""
quantized.Conv2dPackedParamsBase quantized.Conv3dPackedParamsBase quantized.EmbeddingPackedParamsBase
quantized.LinearPackedParamsBase xnnpack.Conv2dOpContext xnnpack.LinearOpContext xnnpack.TransposeConv2dOpContext
""")

#: ``.pt2``: what computes with sizes, and control flow, below ``torch.ops.higher_order``.
PT2_SIZES = names("""
_operator.add _operator.and_ _operator.eq _operator.floordiv _operator.ge _operator.getitem _operator.gt _operator.le
_operator.lt _operator.mod _operator.mul _operator.ne _operator.neg _operator.not_ _operator.or_ _operator.pos
_operator.sub _operator.truediv math.ceil math.floor math.trunc torch.sym_float torch.sym_int torch.sym_ite
torch.sym_max torch.sym_min torch.sym_not torch.sym_sqrt torch.sym_sum
""")

PT2_CONTROL = names("cond scan wrap_with_autocast wrap_with_set_grad_enabled while_loop")

#: ``.pt2``: operators of quantized models, below ``torch.ops.quantized_decomposed``.
PT2_QUANTIZED = names("""
choose_qparams choose_qparams_symmetric choose_qparams_per_token choose_qparams_per_token_asymmetric
dequantize_per_channel dequantize_per_channel_group dequantize_per_tensor dequantize_per_token
quantize_per_channel quantize_per_channel_group quantize_per_tensor quantize_per_token
""")

#: ``.pt2``: containers of inputs and outputs.
PT2_TREES = names("builtins.dict builtins.list builtins.tuple collections.OrderedDict")

#: Files of weights of PyTorch: what their pickles may name besides storages and tensors.
STATE_DICT = names("""
collections.Counter collections.OrderedDict torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state
torch.nn.parameter.Parameter torch.serialization._get_layout
torch.bfloat16 torch.bool torch.complex128 torch.complex64 torch.float16 torch.float32 torch.float64
torch.float8_e4m3fn torch.float8_e5m2 torch.int16 torch.int32 torch.int64 torch.int8 torch.qint32 torch.qint8
torch.quint8 torch.uint16 torch.uint32 torch.uint64 torch.uint8 torch.strided torch.per_tensor_affine
torch.per_channel_affine torch.Size torch.device
""")
