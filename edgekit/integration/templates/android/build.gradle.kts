// What app/build.gradle.kts needs besides what it has.
android {
    defaultConfig {
        minSdk = $min_sdk // at least
    }
    androidResources {
        noCompress += "$format" // opened where it lies in the app
    }
}

dependencies {
    implementation("$coordinates")
}
