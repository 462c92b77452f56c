<?php

// Runs every sample in a folder.
foreach (glob("$argv[1]/*.php") as $sample) {
    echo "$sample\n";
    (function () use ($sample) {
        require $sample;
    })();
}
