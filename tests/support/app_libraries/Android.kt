// Stand-ins for what the starters use of Android (API 34). A context whose assets are files of a folder.
package android.content

import android.content.res.AssetManager
import java.io.File

class Context(private val folder: File) {
    val assets = AssetManager(folder)
    val noBackupFilesDir: File = File(folder, "private").also { it.mkdirs() }
}
