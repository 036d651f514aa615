// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "TrainedModel",
    platforms: [.iOS(.v17)],
    products: [.library(name: "TrainedModel", targets: ["TrainedModel"])],
    dependencies: [
        .package(url: "https://github.com/pytorch/executorch.git", branch: "$branch")
    ],
    targets: [
        .target(
            name: "TrainedModel",
            dependencies: [
$products
            ],
            resources: [.copy("Resources/model.pte"), .copy("Resources/labels.txt"), .copy("Resources/check.bin")],
            linkerSettings: [
                // Backends and kernels register themselves when they are loaded; without this they are left out.
                .unsafeFlags(["-Wl,-all_load"])
            ]
        )
    ]
)
