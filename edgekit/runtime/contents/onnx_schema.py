"""The messages of ``.onnx``: ``onnx.proto`` of IR version 13 (onnx 1.20), without what nobody runs."""

from __future__ import annotations

from edgekit.runtime.contents.protobuf import Schema

SCHEMA = Schema("""
ModelProto: 1 ir_version i, 8 opset_import [OperatorSetIdProto], 2 producer_name str, 3 producer_version str, 4
    domain str, 5 model_version i, 6 doc_string skip, 7 graph GraphProto, 14 metadata_props skip, 20 training_info
    [bytes], 25 functions [FunctionProto], 26 configuration skip
OperatorSetIdProto: 1 domain str, 2 version i
GraphProto: 1 node [NodeProto], 2 name str, 5 initializer [TensorProto], 15 sparse_initializer [bytes], 10
    doc_string skip, 11 input [ValueInfoProto], 12 output [ValueInfoProto], 13 value_info [ValueInfoProto], 14
    quantization_annotation skip, 16 metadata_props skip
StringStringEntryProto: 1 key str, 2 value str
FunctionProto: 1 name str, 4 input [str], 5 output [str], 6 attribute [str], 11 attribute_proto [AttributeProto], 7
    node [NodeProto], 8 doc_string skip, 9 opset_import [OperatorSetIdProto], 10 domain str, 13 overload str, 12
    value_info [ValueInfoProto], 14 metadata_props skip
NodeProto: 1 input [str], 2 output [str], 3 name str, 4 op_type str, 7 domain str, 8 overload str, 5 attribute
    [AttributeProto], 6 doc_string skip, 9 metadata_props skip, 10 device_configurations skip
TensorProto: 1 dims [i], 2 data_type i, 3 segment TensorProto_Segment, 4 float_data [count4], 5 int32_data [count],
    6 string_data [bytes], 7 int64_data [count], 8 name str, 12 doc_string skip, 9 raw_data bytes, 13 external_data
    [StringStringEntryProto], 14 data_location i, 10 double_data [count8], 11 uint64_data [count], 16 metadata_props
    skip
ValueInfoProto: 1 name str, 2 type TypeProto, 3 doc_string skip, 4 metadata_props skip
AttributeProto: 1 name str, 21 ref_attr_name str, 13 doc_string skip, 20 type i, 2 f f32, 3 i i, 4 s bytes, 5 t
    TensorProto, 6 g GraphProto, 22 sparse_tensor bytes, 14 tp TypeProto, 7 floats [f32], 8 ints [i], 9 strings
    [bytes], 10 tensors [TensorProto], 11 graphs [GraphProto], 23 sparse_tensors [bytes], 15 type_protos [TypeProto]
TensorProto_Segment: 1 begin i, 2 end i
TypeProto: 1 tensor_type TypeProto_Tensor, 4 sequence_type TypeProto_Sequence, 5 map_type TypeProto_Map, 9
    optional_type TypeProto_Optional, 8 sparse_tensor_type TypeProto_SparseTensor, 7 opaque_type TypeProto_Opaque, 6
    denotation str
TypeProto_Tensor: 1 elem_type i, 2 shape TensorShapeProto
TypeProto_Sequence: 1 elem_type TypeProto
TypeProto_Map: 1 key_type i, 2 value_type TypeProto
TypeProto_Optional: 1 elem_type TypeProto
TypeProto_SparseTensor: 1 elem_type i, 2 shape TensorShapeProto
TypeProto_Opaque: 1 domain str, 2 name str
TensorShapeProto: 1 dim [TensorShapeProto_Dimension]
TensorShapeProto_Dimension: 1 dim_value i, 2 dim_param str, 3 denotation str
""")
