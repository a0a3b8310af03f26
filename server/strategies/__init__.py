"""Server strategies by method name, one small file for each that Flower lacks."""
