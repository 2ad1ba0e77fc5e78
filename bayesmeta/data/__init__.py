"""Tables in, validated: the bundled data in two versions, and a folder of your own."""
