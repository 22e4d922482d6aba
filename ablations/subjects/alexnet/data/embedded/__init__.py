"""Fashion-MNIST's first 600 training and 100 test images of each class, as bzip2-compressed idx files."""
