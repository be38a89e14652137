def uid: "id-" + .id;
