"use strict";
// Draws every figure.chart of the page (templates/parts/chart.html) by uPlot.
