"""The tables of XNNPACK's part of a ``.pte``: ``runtime_schema.fbs`` of ExecuTorch 1.5."""

from __future__ import annotations

from edgekit.runtime.contents.flatbuffer import Schema

SCHEMA = Schema("""
XNNQuantParams = PerChannelQuant PerTensorQuant PerTokenDynamicQuant PerChannelGroupQuant
XNodeUnion = XNNAdd:_XNNNode2x1 XNNFullyConnected XNNSoftmax:_XNNNode1x1 XNNSigmoid:_XNNNode1x1 XNNStaticTranspose
    XNNClamp:_XNNNode1x1 XNNConv2d:_XNNNodeConv XNNDiv:_XNNNode2x1 XNNStaticResizeBilinear2D XNNStaticConstantPad
    XNNAvgPooling2d:_XNNPooling2D XNNMinimum:_XNNNode2x1 XNNDepthwiseConv2d:_XNNNodeConv
    XNNMaxPooling2d:_XNNPooling2D XNNMultiply:_XNNNode2x1 XNNSubtract:_XNNNode2x1 XNNFloor:_XNNNode1x1
    XNNConvert:_XNNNode1x1 XNNGlobalAvgPooling2d:_XNNNode1x1 XNNStaticReshape XNNArgMaxPooling2d
    XNNSquareRoot:_XNNNode1x1 XNNCeiling:_XNNNode1x1 XNNHardswish:_XNNNode1x1 XNNLeakyReLU XNNMaximum:_XNNNode2x1
    XNNNegate:_XNNNode1x1 XNNSquare:_XNNNode1x1 XNNELU XNNAbs:_XNNNode1x1 XNNPReLU:_XNNNode2x1
    XNNConcatenate2:_XNNCat XNNConcatenate3:_XNNCat XNNConcatenate4:_XNNCat XNNStaticSlice
    XNNScaledDotProductAttention XNNBatchMatrixMultiply:_XNNNode2x1 XNNConcatenate5:_XNNCat
    XNNConvTranspose2d:_XNNNodeConv XNNReciprocalSquareRoot:_XNNNode1x1 XNNLog:_XNNNode1x1 XNNGelu:_XNNNode1x1
    XNNTanh:_XNNNode1x1 XNNExp:_XNNNode1x1 XNNSin:_XNNNode1x1 XNNCopy:_XNNNode1x1 XNNCos:_XNNNode1x1
XValueUnion = XNNTensorValue XNNQuantizedTensorValue
Buffer: storage [u8]
PerChannelQuant: scale [f32], channel_dim i32, scale_buffer_idx u32, num_scales u32
PerTokenDynamicQuant: num_nonbatch_dims i32
PerTensorQuant: scale f32, zero_point i32
PerChannelGroupQuant: scale [f32], channel_dim i32, group_size i32, scale_bf16 [u16], scale_buffer_idx u32,
    num_scales u32
XNNTensorValue: datatype i16, num_dims u32, dims [u32], constant_buffer_idx u32, external_id u32, flags u32, id_out
    u32, dq_datatype i16
XNNQuantizedTensorValue: tensor_value XNNTensorValue, quant_params <XNNQuantParams>
OutputMinMax: output_min f32, output_max f32
XNode: xnode_union <XNodeUnion>, debug_handle u32, output_min_max OutputMinMax
XValue: xvalue_union <XValueUnion>
XNNStaticTranspose: num_dims u32, perm [u32], input_id u32, output_id u32, flags u32
XNNStaticResizeBilinear2D: new_height u32, new_width u32, input_id u32, output_id u32, flags u32
XNNStaticConstantPad: pre_paddings [u32], post_paddings [u32], padding_value f32, input_id u32, output_id u32, flags
    u32
_XNNNode2x1: input1_id u32, input2_id u32, output_id u32, flags u32
_XNNNode1x1: input_id u32, output_id u32, flags u32
_XNNCat: axis u32, input1_id u32, input2_id u32, input3_id u32, input4_id u32, output_id u32, flags u32, input5_id
    u32
XNNELU: alpha f32, input_id u32, output_id u32, flags u32
XNNFullyConnected: input1_id u32, filter_id u32, bias_id u32, output_id u32, flags u32
_XNNNodeConv: padding_top u32, padding_right u32, padding_bottom u32, padding_left u32, kernel_height u32,
    kernel_width u32, subsampling_height u32, subsampling_width u32, dilation_height u32, dilation_width u32,
    group_input_channels u32, group_output_channels u32, groups u32, adjustment_height u32, adjustment_width u32,
    input1_id u32, filter_id u32, bias_id u32, output_id u32, flags u32
_XNNPooling2D: padding_top u32, padding_right u32, padding_bottom u32, padding_left u32, pooling_height u32,
    pooling_width u32, stride_height u32, stride_width u32, dilation_height u32, dilation_width u32, input_id u32,
    output_id u32, flags u32
XNNStaticReshape: num_dims u32, new_shape [u32], input_id u32, output_id u32, flags u32
XNNStaticSlice: num_dims u32, offsets [u32], sizes [u32], input_id u32, output_id u32, flags u32
XNNScaledDotProductAttention: query_id u32, key_id u32, value_id u32, scale_id u32, mask_id u32, output_id u32,
    flags u32
XNNArgMaxPooling2d: padding_top u32, padding_right u32, padding_bottom u32, padding_left u32, pooling_height u32,
    pooling_width u32, input_id u32, output_value_id u32, output_index_id u32, flags u32
XNNLeakyReLU: negative_slope f32, input_id u32, output_id u32, flags u32
ConstantDataOffset: offset u64, size u64, named_key str
XNNGraph: version str, xnodes [XNode], xvalues [XValue], num_externs u32, input_ids [u32], output_ids [u32],
    constant_buffer [Buffer], mem_buffer_sizes [u32], constant_data [ConstantDataOffset]
""")
