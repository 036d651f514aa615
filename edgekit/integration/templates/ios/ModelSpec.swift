// What the bundle $name says of $variant. Made by edgekit; make it again when the model changes.

import Foundation

public enum ModelSpec {
    /// Inputs and outputs in the order of the file.
    public static let inputs = $inputs
    public static let outputs = $outputs

    /// $preparation_comment
    public static let preparation = $preparation

    /// $image_comment
    public static let image: ImageSize? = $image

    /// The output that has a score for each label.
    public static let scores = $scores

    /// $logits_comment
    public static let scoresAreLogits = $logits

    /// How far the outputs of the check may be from those of the float model.
    public static let tolerance: Float = $tolerance

    /// Where the model, the labels and the check are.
    public static let resources = $resources
}
