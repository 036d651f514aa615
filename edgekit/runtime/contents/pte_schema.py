"""The tables of ``.pte``: ``program.fbs`` of ExecuTorch 1.5."""

from __future__ import annotations

from edgekit.runtime.contents.flatbuffer import Schema

SCHEMA = Schema("""
KernelTypes = Null Int Bool Double Tensor String IntList DoubleList BoolList TensorList OptionalTensorList
InstructionArguments = KernelCall DelegateCall MoveCall JumpFalseCall FreeCall
ContainerMetadata: encoded_inp_str str, encoded_out_str str
AllocationDetails: memory_id u32, memory_offset_low u32, memory_offset_high u32
ExtraTensorInfo: mutable_data_segments_idx u64, fully_qualified_name str, location i8, device_type i8, device_index
    i8
Tensor: scalar_type i8, storage_offset i32, sizes [i32], dim_order [u8], requires_grad b, data_buffer_idx u32,
    allocation_info AllocationDetails, layout i8, shape_dynamism i8, extra_tensor_info ExtraTensorInfo
Int: int_val i64
Bool: bool_val b
Double: double_val f64
String: string_val str
IntList: items [i64]
DoubleList: items [f64]
BoolList: items [b]
TensorList: items [i32]
OptionalTensorList: items [i32]
EValue: val <KernelTypes>
Operator: name str, overload str
KernelCall: op_index i32, args [i32]
DelegateCall: delegate_index i32, args [i32]
MoveCall: move_from i32, move_to i32
JumpFalseCall: cond_value_index i32, destination_instruction i32
FreeCall: value_index i32
Instruction: instr_args <InstructionArguments>
Frame: filename str, lineno i32, name str, context str
FrameList: items [Frame]
BackendDelegateDataReference: location i8, index u32
CompileSpec: key str, value [u8]
BackendDelegate: id str, processed BackendDelegateDataReference, compile_specs [CompileSpec]
Chain: inputs [i32], outputs [i32], instructions [Instruction], stacktrace [FrameList]
ExecutionPlan: name str, container_meta_type ContainerMetadata, values [EValue], inputs [i32], outputs [i32], chains
    [Chain], operators [Operator], delegates [BackendDelegate], non_const_buffer_sizes [i64],
    non_const_buffer_device [NonConstBufferDevice]
NonConstBufferDevice: buffer_idx i32, device_type i8, device_index i8
Buffer: storage [u8]
BackendDelegateInlineData: data [u8]
DataSegment: offset u64, size u64
SubsegmentOffsets: segment_index u32, offsets [u64]
NamedData: key str, segment_index u32
Program: version u32, execution_plan [ExecutionPlan], constant_buffer [Buffer], backend_delegate_data
    [BackendDelegateInlineData], segments [DataSegment], constant_segment SubsegmentOffsets, mutable_data_segments
    [SubsegmentOffsets], named_data [NamedData]
""")
