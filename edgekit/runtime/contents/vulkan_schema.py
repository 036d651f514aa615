"""The tables of Vulkan's part of a ``.pte``: ``schema.fbs`` of ExecuTorch 1.5."""

from __future__ import annotations

from edgekit.runtime.contents.flatbuffer import Schema

SCHEMA = Schema("""
GraphTypes = Null Int Double Bool VkTensor IntList DoubleList BoolList ValueList String SymInt
OperatorCall: node_id u32, name str, args [i32]
VkTensor: datatype i8, dims [u32], constant_id i32, mem_obj_id i32, storage_type u8=255, memory_layout u8=255,
    staging_datatype i8=127
Int: int_val i64
Bool: bool_val b
Double: double_val f64
String: string_val str
IntList: items [i64]
DoubleList: items [f64]
BoolList: items [b]
ValueList: items [i32]
SymInt: value i32
VkValue: value <GraphTypes>
VkBytes: offset u64, length u64, named_key str
VkGraph: version str, chain [OperatorCall], values [VkValue], input_ids [u32], output_ids [u32], constants
    [VkBytes], shaders [VkBytes], storage_type_override u8=255, memory_layout_override u8=255
""")
