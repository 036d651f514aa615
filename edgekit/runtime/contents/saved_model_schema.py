"""The messages of ``saved_model.pb``: those of TensorFlow 2.21, without what nobody runs."""

from __future__ import annotations

from edgekit.runtime.contents.protobuf import Schema

SCHEMA = Schema("""
SavedModel: 1 saved_model_schema_version i, 2 meta_graphs [MetaGraphDef]
MetaGraphDef: 1 meta_info_def skip, 2 graph_def GraphDef, 3 saver_def SaverDef, 4 collection_def
    [MetaGraphDef_CollectionDefEntry], 5 signature_def [MetaGraphDef_SignatureDefEntry], 6 asset_file_def [bytes], 7
    object_graph_def SavedObjectGraph
GraphDef: 1 node [NodeDef], 4 versions skip, 3 version i, 2 library FunctionDefLibrary, 5 debug_info skip
SaverDef: 1 filename_tensor_name str, 2 save_tensor_name str, 3 restore_op_name str, 4 max_to_keep i, 5 sharded i, 6
    keep_checkpoint_every_n_hours f32, 7 version i
MetaGraphDef_CollectionDefEntry: 1 key str, 2 value CollectionDef
MetaGraphDef_SignatureDefEntry: 1 key str, 2 value SignatureDef
SavedObjectGraph: 1 nodes [SavedObject], 2 concrete_functions [SavedObjectGraph_ConcreteFunctionsEntry]
NodeDef: 1 name str, 2 op str, 3 input [str], 4 device str, 5 attr [NodeDef_AttrEntry], 6 experimental_debug_info
    skip, 7 experimental_type skip
FunctionDefLibrary: 1 function [FunctionDef], 2 gradient skip, 3 registered_gradients skip
CollectionDef: 1 node_list CollectionDef_NodeList, 2 bytes_list skip, 3 int64_list skip, 4 float_list skip, 5
    any_list skip
SignatureDef: 1 inputs [SignatureDef_InputsEntry], 2 outputs [SignatureDef_OutputsEntry], 3 method_name str, 4
    defaults skip
TensorInfo: 1 name str, 4 coo_sparse TensorInfo_CooSparse, 5 composite_tensor TensorInfo_CompositeTensor, 2 dtype i,
    3 tensor_shape TensorShapeProto
SavedObject: 1 children skip, 15 dependencies skip, 3 slot_variables skip, 4 user_object SavedUserObject, 5 asset
    bytes, 6 function SavedFunction, 7 variable SavedVariable, 8 bare_concrete_function SavedBareConcreteFunction, 9
    constant skip, 10 resource bytes, 12 captured_tensor skip, 11 saveable_objects skip, 13 registered_name str, 14
    serialized_user_proto bytes, 16 registered_saver str
SavedObjectGraph_ConcreteFunctionsEntry: 1 key str, 2 value skip
OpDef: 1 name str, 2 input_arg skip, 3 output_arg skip, 20 control_output [str], 4 attr skip, 8 deprecation skip, 5
    summary str, 6 description str, 18 is_commutative i, 16 is_aggregate i, 17 is_stateful i, 19
    allows_uninitialized_input i, 21 is_distributed_communication i
NodeDef_AttrEntry: 1 key str, 2 value AttrValue
FunctionDef: 1 signature OpDef, 5 attr skip, 7 arg_attr skip, 8 resource_arg_unique_id skip, 3 node_def [NodeDef], 4
    ret skip, 6 control_ret skip
CollectionDef_NodeList: 1 value [str]
SignatureDef_InputsEntry: 1 key str, 2 value TensorInfo
SignatureDef_OutputsEntry: 1 key str, 2 value TensorInfo
TensorInfo_CooSparse: 1 values_tensor_name str, 2 indices_tensor_name str, 3 dense_shape_tensor_name str
TensorInfo_CompositeTensor: 1 type_spec skip, 2 components [TensorInfo]
TensorShapeProto: 2 dim [TensorShapeProto_Dim], 3 unknown_rank i
SavedUserObject: 1 identifier str, 2 version skip, 3 metadata str
SavedFunction: 1 concrete_functions [str], 2 function_spec skip
SavedVariable: 1 dtype i, 2 shape TensorShapeProto, 3 trainable i, 4 synchronization i, 5 aggregation i, 6 name str,
    7 device str, 8 experimental_distributed_variable_components [SavedVariable]
SavedBareConcreteFunction: 1 concrete_function_name str, 2 argument_keywords [str], 3 allowed_positional_arguments
    i, 4 function_spec skip
AttrValue: 2 s bytes, 3 i i, 4 f f32, 5 b i, 6 type i, 7 shape TensorShapeProto, 8 tensor TensorProto, 1 list
    AttrValue_ListValue, 10 func NameAttrList, 9 placeholder str
TensorProto: 1 dtype i, 2 tensor_shape TensorShapeProto, 3 version_number i, 4 tensor_content bytes, 13 half_val
    [count], 5 float_val [count4], 6 double_val [count8], 7 int_val [count], 8 string_val [bytes], 9 scomplex_val
    [count4], 10 int64_val [count], 11 bool_val [count], 12 dcomplex_val [count8], 14 resource_handle_val [bytes],
    15 variant_val [bytes], 16 uint32_val [count], 17 uint64_val [count], 18 float8_val bytes
TensorShapeProto_Dim: 1 size i, 2 name str
AttrValue_ListValue: 2 s [bytes], 3 i [i], 4 f [f32], 5 b [i], 6 type [i], 7 shape [TensorShapeProto], 8 tensor
    [TensorProto], 9 func [NameAttrList]
NameAttrList: 1 name str, 2 attr [NameAttrList_AttrEntry]
NameAttrList_AttrEntry: 1 key str, 2 value AttrValue
""")
