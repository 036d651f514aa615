// What the bundle $name says of $variant. Made by edgekit; make it again when the model changes.
package edgekit.starter

object ModelSpec {
    /** Inputs and outputs in the order of the file. */
    val INPUTS = $inputs
    val OUTPUTS = $outputs

    /** $preparation_comment */
    val PREPARATION = $preparation

    /** $image_comment */
    val IMAGE: ImageSize? = $image

    /** The output that has a score for each label. */
    const val SCORES = $scores

    /** $logits_comment */
    const val SCORES_ARE_LOGITS = $logits

    /** How far the outputs of the check may be from those of the float model. */
    const val TOLERANCE = $tolerance
}
