"""The ops that a learning program needs: a SavedModel with any other is not loaded by itself.

An op is permitted when all that it does is compute on tensors, or read and change what the program
holds in memory. None here reads or writes a file, a socket, a process or Python, parses bytes that
are no tensor, waits for others, or ends the process.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PERMITTED", "PRINTED_TO", "RESTORING", "SAVING", "is_permitted"]

_BY_FAMILY: Mapping[str, str] = {
    "control flow": """
        Assert Case ControlTrigger Enter Exit For Identity IdentityN If LoopCond Merge
        NextIteration NoOp PartitionedCall Placeholder PlaceholderWithDefault PreventGradient
        PrintV2 StatefulPartitionedCall StatelessCase StatelessIf StatelessWhile StopGradient
        Switch ToBool While OptionalFromValue OptionalGetValue OptionalHasValue OptionalNone
    """,
    "variables": """
        AssignAddVariableOp AssignSubVariableOp AssignVariableOp DestroyResourceOp
        DisableCopyOnRead ReadVariableOp ResourceCountUpTo ResourceGather ResourceGatherNd
        ResourceScatterAdd ResourceScatterDiv ResourceScatterMax ResourceScatterMin
        ResourceScatterMul ResourceScatterNdAdd ResourceScatterNdMax ResourceScatterNdMin
        ResourceScatterNdSub ResourceScatterNdUpdate ResourceScatterSub ResourceScatterUpdate
        ResourceStridedSliceAssign VarHandleOp VarIsInitializedOp VariableShape
    """,
    "optimizers": """
        ResourceApplyAdaMax ResourceApplyAdadelta ResourceApplyAdagrad ResourceApplyAdagradDA
        ResourceApplyAdagradV2 ResourceApplyAdam ResourceApplyAdamWithAmsgrad
        ResourceApplyAddSign ResourceApplyCenteredRMSProp ResourceApplyFtrl ResourceApplyFtrlV2
        ResourceApplyGradientDescent ResourceApplyKerasMomentum ResourceApplyMomentum
        ResourceApplyPowerSign ResourceApplyProximalAdagrad
        ResourceApplyProximalGradientDescent ResourceApplyRMSProp ResourceSparseApplyAdadelta
        ResourceSparseApplyAdagrad ResourceSparseApplyAdagradDA ResourceSparseApplyAdagradV2
        ResourceSparseApplyCenteredRMSProp ResourceSparseApplyFtrl ResourceSparseApplyFtrlV2
        ResourceSparseApplyKerasMomentum ResourceSparseApplyMomentum
        ResourceSparseApplyProximalAdagrad ResourceSparseApplyProximalGradientDescent
        ResourceSparseApplyRMSProp
    """,
    "arrays": """
        BatchToSpace BatchToSpaceND Bitcast BroadcastArgs BroadcastGradientArgs BroadcastTo Cast
        Concat ConcatOffset ConcatV2 ConjugateTranspose Const DepthToSpace Diag DiagPart
        DynamicPartition DynamicStitch EnsureShape ExpandDims ExtractImagePatches
        ExtractVolumePatches Fill Gather GatherNd GatherV2 InvertPermutation ListDiff
        LowerBound MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3
        MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad
        MirrorPadGrad OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch Rank Reshape Reverse
        ReverseSequence ReverseV2 Roll ScatterNd ScatterNdNonAliasingAdd Select SelectV2 Shape
        ShapeN Size Slice Snapshot SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze
        StridedSlice StridedSliceGrad TensorScatterAdd TensorScatterMax TensorScatterMin
        TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate Tile TileGrad Transpose
        Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 Unpack UnravelIndex UpperBound Where
        ZerosLike
    """,
    "arithmetic": """
        Abs AccumulateNV2 Acos Acosh Add AddN AddV2 Angle ApproximateEqual Asin Asinh Atan Atan2
        Atanh BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e
        BesselK1 BesselK1e BesselY0 BesselY1 Betainc BitwiseAnd BitwiseOr BitwiseXor Ceil
        CheckNumerics CheckNumericsV2 ClipByValue Complex ComplexAbs Conj Cos Cosh Cross Dawsn
        Digamma Div DivNoNan Equal Erf Erfc Erfinv Exp Expint Expm1 Floor FloorDiv FloorMod
        FresnelCos FresnelSin Greater GreaterEqual Igamma IgammaGradA Igammac Imag Inv InvGrad
        Invert IsFinite IsInf IsNan LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd
        LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Ndtri Neg NextAfter NotEqual
        Polygamma PopulationCount Pow Real RealDiv Reciprocal ReciprocalGrad RightShift Rint
        Round Rsqrt RsqrtGrad Sign Sin Sinh Spence Sqrt SqrtGrad Square SquaredDifference Sub
        Tan TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta
    """,
    "sums and order": """
        All Any ArgMax ArgMin Bincount Bucketize Cumprod Cumsum CumulativeLogsumexp
        DenseBincount EuclideanNorm HistogramFixedWidth InTopK InTopKV2 LinSpace Max Mean Min
        NthElement Prod Range SegmentMax SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2
        SegmentProd SegmentProdV2 SegmentSum SegmentSumV2 Sum TopK TopKV2 UnsortedSegmentMax
        UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
    """,
    "matrices": """
        BandedTriangularSolve BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky CholeskyGrad Eig
        Einsum LogMatrixDeterminant Lu MatMul MatrixDeterminant MatrixExponential MatrixInverse
        MatrixLogarithm MatrixSolve MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr
        SelfAdjointEig SelfAdjointEigV2 Svd TridiagonalMatMul TridiagonalSolve
    """,
    "spectra": """
        FFT FFT2D FFT3D FFTND IFFT IFFT2D IFFT3D IFFTND IRFFT IRFFT2D IRFFT3D IRFFTND RFFT
        RFFT2D RFFT3D RFFTND
    """,
    "layers": """
        AvgPool AvgPool3D AvgPool3DGrad AvgPoolGrad BiasAdd BiasAddGrad BiasAddV1 CTCLoss
        CTCLossV2 Conv Conv2D Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv2DBackpropInput
        Conv2DBackpropInputV2 Conv3D Conv3DBackpropFilter Conv3DBackpropFilterV2
        Conv3DBackpropInput Conv3DBackpropInputV2 DepthwiseConv2dNative
        DepthwiseConv2dNativeBackpropFilter DepthwiseConv2dNativeBackpropInput Dilation2D
        Dilation2DBackpropFilter Dilation2DBackpropInput Elu EluGrad FakeQuantWithMinMaxArgs
        FakeQuantWithMinMaxArgsGradient FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsGradient
        FakeQuantWithMinMaxVarsPerChannel FakeQuantWithMinMaxVarsPerChannelGradient
        FusedBatchNorm FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3
        FusedBatchNormV2 FusedBatchNormV3 L2Loss LRN LRNGrad LeakyRelu LeakyReluGrad LogSoftmax
        MaxPool MaxPool3D MaxPool3DGrad MaxPool3DGradGrad MaxPoolGrad MaxPoolGradGrad
        MaxPoolGradGradV2 MaxPoolGradGradWithArgmax MaxPoolGradV2 MaxPoolGradWithArgmax
        MaxPoolV2 MaxPoolWithArgmax Relu Relu6 Relu6Grad ReluGrad ResizeBilinear
        ResizeBilinearGrad ResizeNearestNeighbor ResizeNearestNeighborGrad Selu SeluGrad Sigmoid
        SigmoidGrad Softmax SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign
        SoftsignGrad SparseSegmentMean SparseSegmentMeanGrad SparseSegmentSqrtN
        SparseSegmentSqrtNGrad SparseSegmentSum SparseSegmentSumGrad
        SparseSoftmaxCrossEntropyWithLogits SparseTensorDenseMatMul SparseToDense Tanh TanhGrad
    """,
    "recurrent layers": """
        BlockLSTM BlockLSTMGrad BlockLSTMGradV2 BlockLSTMV2 CudnnRNN CudnnRNNBackprop
        CudnnRNNBackpropV2 CudnnRNNBackpropV3 CudnnRNNCanonicalToParams
        CudnnRNNCanonicalToParamsV2 CudnnRNNParamsSize CudnnRNNParamsToCanonical
        CudnnRNNParamsToCanonicalV2 CudnnRNNV2 CudnnRNNV3 GRUBlockCell GRUBlockCellGrad
        LSTMBlockCell LSTMBlockCellGrad
    """,
    "chance": """
        Multinomial NonDeterministicInts ParameterizedTruncatedNormal RandomGamma
        RandomGammaGrad RandomIndexShuffle RandomPoissonV2 RandomShuffle RandomStandardNormal
        RandomUniform RandomUniformInt RngReadAndSkip RngSkip StatefulRandomBinomial
        StatefulStandardNormalV2 StatefulTruncatedNormal StatefulUniform StatefulUniformFullInt
        StatefulUniformInt StatelessMultinomial StatelessParameterizedTruncatedNormal
        StatelessRandomBinomial StatelessRandomGammaV2 StatelessRandomGammaV3
        StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomGetKeyCounterAlg
        StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomPoisson
        StatelessRandomUniform StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2
        StatelessRandomUniformInt StatelessRandomUniformIntV2 StatelessRandomUniformV2
        StatelessShuffle StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
    """,
    "lists of tensors": """
        EmptyTensorList TensorArrayCloseV3 TensorArrayConcatV3 TensorArrayGatherV3
        TensorArrayGradV3 TensorArrayGradWithShape TensorArrayReadV3 TensorArrayScatterV3
        TensorArraySizeV3 TensorArraySplitV3 TensorArrayV3 TensorArrayWriteV3 TensorListConcat
        TensorListConcatLists TensorListConcatV2 TensorListElementShape TensorListFromTensor
        TensorListGather TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack
        TensorListPushBackBatch TensorListReserve TensorListResize TensorListScatter
        TensorListScatterIntoExistingList TensorListScatterV2 TensorListSetItem TensorListSplit
        TensorListStack
    """,
    "tables in memory": """
        HashTableV2 InitializeTableV2 LookupTableExportV2 LookupTableFindV2 LookupTableImportV2
        LookupTableInsertV2 LookupTableRemoveV2 LookupTableSizeV2 MutableHashTableV2
    """,
    "text": """
        AsString ReduceJoin StaticRegexFullMatch StringFormat StringJoin StringLength
        StringLower StringStrip StringUpper Substr
    """,
}

PERMITTED: Mapping[str, str] = {
    op: family for family, ops in _BY_FAMILY.items() for op in ops.split()
}
"""Op -> its family."""

SAVING = frozenset({"MergeV2Checkpoints", "SaveV2", "ShardedFilename"})
"""What a SavedModel writes its variables with; permitted where nothing but the saver reaches it."""

RESTORING = frozenset({"RestoreV2"})
"""What a SavedModel reads its variables with; permitted likewise."""

PRINTED_TO = frozenset({"stdout", "stderr", "log(info)", "log(warning)", "log(error)"})
"""Where `PrintV2` may print; it writes to a file just as well."""


def is_permitted(op: str, output_stream: str | None = None) -> bool:
    """Tell whether an op is one that a learning program needs.

    Args:
        op: its name.
        output_stream: where it prints, if it is `PrintV2`.
    """
    return op in PERMITTED and (op != "PrintV2" or output_stream in PRINTED_TO)
